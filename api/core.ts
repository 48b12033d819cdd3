/**
 * Kubernetes' own kinds, as they stand on the wire.
 *
 * The shapes are @kubernetes/client-node's; its `Date` fields are strings in JSON, which `Wire` says.
 * Types only: the library's run time (90 MB) is never loaded for them.
 */
import type {
  CoreV1Event,
  V1ConfigMap,
  V1ContainerStatus,
  V1ControllerRevision,
  V1CustomResourceDefinition,
  V1DaemonSet,
  V1Deployment,
  V1EndpointSlice,
  V1Ingress,
  V1Job,
  V1Lease,
  V1MutatingWebhookConfiguration,
  V1Namespace,
  V1Node,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1PodTemplateSpec,
  V1ReplicaSet,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1StatefulSet,
  V1ValidatingWebhookConfiguration,
  V2HorizontalPodAutoscaler,
} from "@kubernetes/client-node";
import type { Kind, KubeObject, ObjectMeta } from "./resource.ts";

/** `T` as JSON carries it: `Date` is a string; everything is read-only. */
export type Wire<T> = T extends Date
  ? string
  : T extends (infer Item)[]
    ? readonly Wire<Item>[]
    : T extends object
      ? { readonly [Field in keyof T]: Wire<T[Field]> }
      : T;

type Typed<T> = Omit<Wire<T>, "apiVersion" | "kind" | "metadata"> &
  KubeObject & { readonly metadata: ObjectMeta };

export type Pod = Typed<V1Pod>;
export type Service = Typed<V1Service>;
export type Namespace = Typed<V1Namespace>;
export type Node = Typed<V1Node>;
export type ConfigMap = Typed<V1ConfigMap>;
export type Secret = Typed<V1Secret>;
export type ServiceAccount = Typed<V1ServiceAccount>;
export type Event = Typed<CoreV1Event>;
export type Deployment = Typed<V1Deployment>;
export type ReplicaSet = Typed<V1ReplicaSet>;
export type ControllerRevision = Typed<V1ControllerRevision>;
export type DaemonSet = Typed<V1DaemonSet>;
export type StatefulSet = Typed<V1StatefulSet>;
export type Job = Typed<V1Job>;
export type PodDisruptionBudget = Typed<V1PodDisruptionBudget>;
export type PersistentVolume = Typed<V1PersistentVolume>;
export type PersistentVolumeClaim = Typed<V1PersistentVolumeClaim>;
export type EndpointSlice = Typed<V1EndpointSlice>;
export type Ingress = Typed<V1Ingress>;
export type Lease = Typed<V1Lease>;
export type HorizontalPodAutoscaler = Typed<V2HorizontalPodAutoscaler>;
export type CustomResourceDefinition = Typed<V1CustomResourceDefinition>;
export type MutatingWebhookConfiguration = Typed<V1MutatingWebhookConfiguration>;
export type ValidatingWebhookConfiguration = Typed<V1ValidatingWebhookConfiguration>;
export type PodTemplateSpec = Wire<V1PodTemplateSpec>;
export type ContainerStatus = Wire<V1ContainerStatus>;

function core<T extends KubeObject>(kind: string, plural: string, namespaced = true): Kind<T> {
  return { group: "", version: "v1", kind, plural, namespaced };
}

function grouped<T extends KubeObject>(
  group: string,
  version: string,
  kind: string,
  plural: string,
  namespaced = true,
): Kind<T> {
  return { group, version, kind, plural, namespaced };
}

export const PodKind = core<Pod>("Pod", "pods");
export const ServiceKind = core<Service>("Service", "services");
export const NamespaceKind = core<Namespace>("Namespace", "namespaces", false);
export const NodeKind = core<Node>("Node", "nodes", false);
export const ConfigMapKind = core<ConfigMap>("ConfigMap", "configmaps");
export const SecretKind = core<Secret>("Secret", "secrets");
export const ServiceAccountKind = core<ServiceAccount>("ServiceAccount", "serviceaccounts");
export const PersistentVolumeKind = core<PersistentVolume>("PersistentVolume", "persistentvolumes", false);
export const PersistentVolumeClaimKind = core<PersistentVolumeClaim>(
  "PersistentVolumeClaim",
  "persistentvolumeclaims",
);
export const EventKind = core<Event>("Event", "events");
export const DeploymentKind = grouped<Deployment>("apps", "v1", "Deployment", "deployments");
export const ReplicaSetKind = grouped<ReplicaSet>("apps", "v1", "ReplicaSet", "replicasets");
export const ControllerRevisionKind = grouped<ControllerRevision>(
  "apps",
  "v1",
  "ControllerRevision",
  "controllerrevisions",
);
export const DaemonSetKind = grouped<DaemonSet>("apps", "v1", "DaemonSet", "daemonsets");
export const StatefulSetKind = grouped<StatefulSet>("apps", "v1", "StatefulSet", "statefulsets");
export const JobKind = grouped<Job>("batch", "v1", "Job", "jobs");
export const PodDisruptionBudgetKind = grouped<PodDisruptionBudget>(
  "policy",
  "v1",
  "PodDisruptionBudget",
  "poddisruptionbudgets",
);
export const EndpointSliceKind = grouped<EndpointSlice>(
  "discovery.k8s.io",
  "v1",
  "EndpointSlice",
  "endpointslices",
);
export const IngressKind = grouped<Ingress>("networking.k8s.io", "v1", "Ingress", "ingresses");
export const LeaseKind = grouped<Lease>("coordination.k8s.io", "v1", "Lease", "leases");
export const HorizontalPodAutoscalerKind = grouped<HorizontalPodAutoscaler>(
  "autoscaling",
  "v2",
  "HorizontalPodAutoscaler",
  "horizontalpodautoscalers",
);
export const CustomResourceDefinitionKind = grouped<CustomResourceDefinition>(
  "apiextensions.k8s.io",
  "v1",
  "CustomResourceDefinition",
  "customresourcedefinitions",
  false,
);
export const MutatingWebhookConfigurationKind = grouped<MutatingWebhookConfiguration>(
  "admissionregistration.k8s.io",
  "v1",
  "MutatingWebhookConfiguration",
  "mutatingwebhookconfigurations",
  false,
);
export const ValidatingWebhookConfigurationKind = grouped<ValidatingWebhookConfiguration>(
  "admissionregistration.k8s.io",
  "v1",
  "ValidatingWebhookConfiguration",
  "validatingwebhookconfigurations",
  false,
);
