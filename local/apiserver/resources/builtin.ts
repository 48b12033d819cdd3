/** Kubernetes' own resources that this server has, with their names as discovery tells them. */
import { rootType } from "../kinds/types.ts";
import { autoscalerV1, coreEvent } from "./conversions.ts";
import type { Conversion, Resource, ScalePaths, Strategy, Subresource } from "./resource.ts";
import { autoscalerStrategy, disruptionBudgetStrategy } from "./strategies/autoscaling.ts";
import { cronJobStrategy, jobStrategy } from "./strategies/batch.ts";
import { definitionStrategy } from "./strategies/custom-resource-definition.ts";
import {
  endpointSliceStrategy,
  endpointsStrategy,
  ingressClassStrategy,
  ingressStrategy,
  networkPolicyStrategy,
} from "./strategies/networking.ts";
import { podStrategy } from "./strategies/pod.ts";
import { roleBindingStrategy, roleStrategy } from "./strategies/rbac.ts";
import { serviceStrategy } from "./strategies/service.ts";
import {
  configMapStrategy,
  eventStrategy,
  leaseStrategy,
  namespaceStrategy,
  nodeStrategy,
  plainStrategy,
  priorityClassStrategy,
  runtimeClassStrategy,
  secretStrategy,
  serviceAccountStrategy,
} from "./strategies/small.ts";
import { claimStrategy, storageClassStrategy, volumeStrategy } from "./strategies/storage.ts";
import {
  policyBindingStrategy,
  policyStrategy,
  webhookConfigurationStrategy,
} from "./strategies/webhooks.ts";
import {
  daemonSetStrategy,
  deploymentStrategy,
  podTemplateStrategy,
  replicaSetStrategy,
  replicationControllerStrategy,
  statefulSetStrategy,
} from "./strategies/workload.ts";

interface Options {
  readonly short?: readonly string[];
  readonly categories?: readonly string[];
  readonly status?: boolean;
  readonly scale?: ScalePaths;
  /** The warning that every answer carries. */
  readonly deprecation?: string;
  readonly subresources?: readonly Subresource[];
  /** More versions than the one that is stored. */
  readonly versions?: Readonly<Record<string, Conversion>>;
  /** The resource whose objects these are, with the conversion from them. */
  readonly storedAs?: string;
  readonly conversion?: Conversion;
}

/** What strategies need from outside. */
export interface StrategyInputs {
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly usedClusterIps: () => ReadonlySet<string>;
}

const all = { categories: ["all"] };
const extensions = { categories: ["api-extensions"] };
const status = { status: true };

const scale: ScalePaths = {
  specReplicas: ["spec", "replicas"],
  statusReplicas: ["status", "replicas"],
  labelSelector: ["spec", "selector"],
};

/** Makes the maker of one group's resources. */
function group(name: string, version: string) {
  const make = (
    kind: string,
    plural: string,
    strategy: Strategy,
    namespaced: boolean,
    options: Options,
  ): Resource => {
    const more = Object.entries(options.versions ?? {});
    const versions = [
      versionOf(name, version, kind, options, options.conversion),
      ...more.map(([other, conversion]) => versionOf(name, other, kind, options, conversion)),
    ];
    return {
      group: name,
      plural,
      singular: kind.toLowerCase(),
      kind,
      listKind: `${kind}List`,
      namespaced,
      shortNames: options.short ?? [],
      categories: options.categories ?? [],
      versions,
      storageVersion: version,
      stored: true,
      custom: false,
      strategy,
      subresources: options.subresources ?? [],
      ...(options.storedAs === undefined ? {} : { storedAs: options.storedAs }),
    };
  };
  return {
    inNamespace: (kind: string, plural: string, strategy: Strategy, options: Options = {}) =>
      make(kind, plural, strategy, true, options),
    ofCluster: (kind: string, plural: string, strategy: Strategy, options: Options = {}) =>
      make(kind, plural, strategy, false, options),
    /** Kinds that are only asked: nothing is stored. */
    review: (kind: string, plural: string, namespaced = false): Resource => ({
      ...make(kind, plural, {}, namespaced, {}),
      stored: false,
    }),
  };
}

function versionOf(
  group: string,
  version: string,
  kind: string,
  { status, scale, deprecation }: Options,
  conversion: Conversion | undefined,
) {
  const type = rootType(group, version, kind);
  if (type === undefined) throw new Error(`no type for ${group}/${version} ${kind}: run tools/kinds`);
  return {
    name: version,
    served: true,
    type,
    status: status === true,
    ...(scale === undefined ? {} : { scale }),
    ...(deprecation === undefined ? {} : { deprecation }),
    ...(conversion === undefined ? {} : { conversion }),
  };
}

const only = (...verbs: string[]) => ({ verbs });

/** The table of built-in resources. */
export function builtinResources({ now, usedClusterIps }: StrategyInputs): Resource[] {
  const core = group("", "v1");
  const apps = group("apps", "v1");
  const batch = group("batch", "v1");
  const networking = group("networking.k8s.io", "v1");
  const rbac = group("rbac.authorization.k8s.io", "v1");
  const admission = group("admissionregistration.k8s.io", "v1");
  const authentication = group("authentication.k8s.io", "v1");
  const authorization = group("authorization.k8s.io", "v1");
  return [
    core.ofCluster("Namespace", "namespaces", namespaceStrategy, {
      short: ["ns"],
      ...status,
      subresources: [{ name: "finalize", kind: "Namespace", ...only("update") }],
    }),
    core.ofCluster("Node", "nodes", nodeStrategy, { short: ["no"], ...status }),
    core.inNamespace("Pod", "pods", podStrategy, {
      short: ["po"],
      ...all,
      ...status,
      subresources: [
        { name: "binding", kind: "Binding", ...only("create") },
        { name: "ephemeralcontainers", kind: "Pod", ...only("get", "patch", "update") },
        { name: "eviction", kind: "Eviction", group: "policy", version: "v1", ...only("create") },
        { name: "log", kind: "Pod", ...only("get") },
      ],
    }),
    core.inNamespace("Service", "services", serviceStrategy(usedClusterIps), {
      short: ["svc"],
      ...all,
      ...status,
    }),
    core.inNamespace("Endpoints", "endpoints", endpointsStrategy, {
      short: ["ep"],
      deprecation: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    }),
    core.inNamespace("ConfigMap", "configmaps", configMapStrategy, { short: ["cm"] }),
    core.inNamespace("Secret", "secrets", secretStrategy),
    core.inNamespace("ServiceAccount", "serviceaccounts", serviceAccountStrategy, {
      short: ["sa"],
      subresources: [
        {
          name: "token",
          kind: "TokenRequest",
          group: "authentication.k8s.io",
          version: "v1",
          ...only("create"),
        },
      ],
    }),
    core.inNamespace("Event", "events", eventStrategy, { short: ["ev"] }),
    core.inNamespace("PersistentVolumeClaim", "persistentvolumeclaims", claimStrategy, {
      short: ["pvc"],
      ...status,
    }),
    core.ofCluster("PersistentVolume", "persistentvolumes", volumeStrategy, { short: ["pv"], ...status }),
    core.inNamespace("ResourceQuota", "resourcequotas", plainStrategy, { short: ["quota"], ...status }),
    core.inNamespace(
      "LimitRange",
      "limitranges",
      { ...plainStrategy, createsOnUpdate: true },
      { short: ["limits"] },
    ),
    core.inNamespace("ReplicationController", "replicationcontrollers", replicationControllerStrategy, {
      short: ["rc"],
      ...all,
      ...status,
      scale,
    }),
    core.inNamespace("PodTemplate", "podtemplates", podTemplateStrategy),
    apps.inNamespace("Deployment", "deployments", deploymentStrategy, {
      short: ["deploy"],
      ...all,
      ...status,
      scale,
    }),
    apps.inNamespace("ReplicaSet", "replicasets", replicaSetStrategy, {
      short: ["rs"],
      ...all,
      ...status,
      scale,
    }),
    apps.inNamespace("DaemonSet", "daemonsets", daemonSetStrategy, { short: ["ds"], ...all, ...status }),
    apps.inNamespace("StatefulSet", "statefulsets", statefulSetStrategy, {
      short: ["sts"],
      ...all,
      ...status,
      scale,
    }),
    apps.inNamespace("ControllerRevision", "controllerrevisions", plainStrategy),
    group("events.k8s.io", "v1").inNamespace("Event", "events", eventStrategy, {
      short: ["ev"],
      storedAs: "events",
      conversion: coreEvent,
    }),
    group("autoscaling", "v2").inNamespace(
      "HorizontalPodAutoscaler",
      "horizontalpodautoscalers",
      autoscalerStrategy,
      {
        short: ["hpa"],
        ...all,
        ...status,
        versions: { v1: autoscalerV1 },
      },
    ),
    batch.inNamespace("Job", "jobs", jobStrategy, { ...all, ...status }),
    batch.inNamespace("CronJob", "cronjobs", cronJobStrategy, { short: ["cj"], ...all, ...status }),
    group("policy", "v1").inNamespace(
      "PodDisruptionBudget",
      "poddisruptionbudgets",
      disruptionBudgetStrategy,
      {
        short: ["pdb"],
        ...status,
      },
    ),
    networking.inNamespace("Ingress", "ingresses", ingressStrategy, { short: ["ing"], ...status }),
    networking.ofCluster("IngressClass", "ingressclasses", ingressClassStrategy),
    networking.inNamespace("NetworkPolicy", "networkpolicies", networkPolicyStrategy, { short: ["netpol"] }),
    group("discovery.k8s.io", "v1").inNamespace("EndpointSlice", "endpointslices", endpointSliceStrategy),
    group("coordination.k8s.io", "v1").inNamespace("Lease", "leases", leaseStrategy),
    group("node.k8s.io", "v1").ofCluster("RuntimeClass", "runtimeclasses", runtimeClassStrategy),
    rbac.inNamespace("Role", "roles", roleStrategy),
    rbac.inNamespace("RoleBinding", "rolebindings", roleBindingStrategy),
    rbac.ofCluster("ClusterRole", "clusterroles", roleStrategy),
    rbac.ofCluster("ClusterRoleBinding", "clusterrolebindings", roleBindingStrategy),
    admission.ofCluster(
      "MutatingWebhookConfiguration",
      "mutatingwebhookconfigurations",
      webhookConfigurationStrategy,
      extensions,
    ),
    admission.ofCluster(
      "ValidatingWebhookConfiguration",
      "validatingwebhookconfigurations",
      webhookConfigurationStrategy,
      extensions,
    ),
    admission.ofCluster("ValidatingAdmissionPolicy", "validatingadmissionpolicies", policyStrategy, {
      ...extensions,
      ...status,
    }),
    admission.ofCluster(
      "ValidatingAdmissionPolicyBinding",
      "validatingadmissionpolicybindings",
      policyBindingStrategy,
      extensions,
    ),
    group("apiextensions.k8s.io", "v1").ofCluster(
      "CustomResourceDefinition",
      "customresourcedefinitions",
      definitionStrategy(now),
      { ...extensions, short: ["crd", "crds"], ...status },
    ),
    group("scheduling.k8s.io", "v1").ofCluster("PriorityClass", "priorityclasses", priorityClassStrategy, {
      short: ["pc"],
    }),
    group("storage.k8s.io", "v1").ofCluster("StorageClass", "storageclasses", storageClassStrategy, {
      short: ["sc"],
    }),
    authentication.review("TokenReview", "tokenreviews"),
    authentication.review("SelfSubjectReview", "selfsubjectreviews"),
    authorization.review("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
    authorization.review("SelfSubjectRulesReview", "selfsubjectrulesreviews"),
    authorization.review("SubjectAccessReview", "subjectaccessreviews"),
    authorization.review("LocalSubjectAccessReview", "localsubjectaccessreviews", true),
  ];
}
