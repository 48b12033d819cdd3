/** Kubernetes' own resources that this server has, with their names as discovery tells them. */
import type { Resource, ScalePaths, Strategy, Subresource } from "./resource.ts";
import { definitionStrategy } from "./strategies/custom-resource-definition.ts";
import { podStrategy } from "./strategies/pod.ts";
import { serviceStrategy } from "./strategies/service.ts";
import {
  autoscalerStrategy,
  configMapStrategy,
  endpointSliceStrategy,
  namespaceStrategy,
  nodeStrategy,
  plainStrategy,
  secretStrategy,
  statusStrategy,
  webhookConfigurationStrategy,
} from "./strategies/small.ts";
import {
  daemonSetStrategy,
  deploymentStrategy,
  replicaSetStrategy,
  statefulSetStrategy,
} from "./strategies/workload.ts";

interface Options {
  readonly short?: readonly string[];
  readonly categories?: readonly string[];
  readonly clusterScoped?: boolean;
  readonly status?: boolean;
  readonly scale?: ScalePaths;
  readonly review?: boolean;
  readonly subresources?: readonly Subresource[];
}

function resource(
  group: string,
  version: string,
  kind: string,
  plural: string,
  strategy: Strategy,
  options: Options = {},
): Resource {
  return {
    group,
    plural,
    singular: kind.toLowerCase(),
    kind,
    listKind: `${kind}List`,
    namespaced: options.clusterScoped !== true,
    shortNames: options.short ?? [],
    categories: options.categories ?? [],
    versions: [
      {
        name: version,
        served: true,
        status: options.status === true,
        ...(options.scale === undefined ? {} : { scale: options.scale }),
      },
    ],
    storageVersion: version,
    stored: options.review !== true,
    custom: false,
    strategy,
    subresources: options.subresources ?? [],
  };
}

const scale: ScalePaths = {
  specReplicas: ["spec", "replicas"],
  statusReplicas: ["status", "replicas"],
  labelSelector: ["spec", "selector"],
};
const all = ["all"];

/** What strategies need from outside. */
export interface StrategyInputs {
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly usedClusterIps: () => ReadonlySet<string>;
}

/** The table of built-in resources. */
export function builtinResources({ now, usedClusterIps }: StrategyInputs): Resource[] {
  const cluster = { clusterScoped: true };
  const review = { clusterScoped: true, review: true };
  return [
    resource("", "v1", "Namespace", "namespaces", namespaceStrategy, {
      ...cluster,
      short: ["ns"],
      status: true,
      subresources: [{ name: "finalize", kind: "Namespace", verbs: ["update"] }],
    }),
    resource("", "v1", "Node", "nodes", nodeStrategy, { ...cluster, short: ["no"], status: true }),
    resource("", "v1", "Pod", "pods", podStrategy, {
      short: ["po"],
      categories: all,
      status: true,
      subresources: [
        { name: "log", kind: "Pod", verbs: ["get"] },
        { name: "binding", kind: "Binding", verbs: ["create"] },
        { name: "eviction", kind: "Eviction", group: "policy", version: "v1", verbs: ["create"] },
      ],
    }),
    resource("", "v1", "Service", "services", serviceStrategy(usedClusterIps), {
      short: ["svc"],
      categories: all,
      status: true,
    }),
    resource("", "v1", "Endpoints", "endpoints", plainStrategy, { short: ["ep"] }),
    resource("", "v1", "ConfigMap", "configmaps", configMapStrategy, { short: ["cm"] }),
    resource("", "v1", "Secret", "secrets", secretStrategy),
    resource(
      "",
      "v1",
      "ServiceAccount",
      "serviceaccounts",
      { ...plainStrategy, answersDeleted: true },
      {
        short: ["sa"],
        subresources: [
          {
            name: "token",
            kind: "TokenRequest",
            group: "authentication.k8s.io",
            version: "v1",
            verbs: ["create"],
          },
        ],
      },
    ),
    resource("", "v1", "Event", "events", plainStrategy, { short: ["ev"] }),
    resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", plainStrategy, {
      short: ["pvc"],
      status: true,
    }),
    resource("", "v1", "PersistentVolume", "persistentvolumes", plainStrategy, {
      ...cluster,
      short: ["pv"],
      status: true,
    }),
    resource("", "v1", "ResourceQuota", "resourcequotas", plainStrategy, { short: ["quota"], status: true }),
    resource("", "v1", "LimitRange", "limitranges", plainStrategy, { short: ["limits"] }),
    resource("", "v1", "ReplicationController", "replicationcontrollers", statusStrategy, {
      short: ["rc"],
      categories: all,
      status: true,
    }),
    resource("", "v1", "PodTemplate", "podtemplates", plainStrategy),
    resource("apps", "v1", "Deployment", "deployments", deploymentStrategy, {
      short: ["deploy"],
      categories: all,
      status: true,
      scale,
    }),
    resource("apps", "v1", "ReplicaSet", "replicasets", replicaSetStrategy, {
      short: ["rs"],
      categories: all,
      status: true,
      scale,
    }),
    resource("apps", "v1", "DaemonSet", "daemonsets", daemonSetStrategy, {
      short: ["ds"],
      categories: all,
      status: true,
    }),
    resource("apps", "v1", "StatefulSet", "statefulsets", statefulSetStrategy, {
      short: ["sts"],
      categories: all,
      status: true,
      scale,
    }),
    resource("apps", "v1", "ControllerRevision", "controllerrevisions", plainStrategy),
    resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", autoscalerStrategy, {
      short: ["hpa"],
      categories: all,
      status: true,
    }),
    resource("batch", "v1", "Job", "jobs", statusStrategy, { categories: all, status: true }),
    resource("batch", "v1", "CronJob", "cronjobs", statusStrategy, {
      short: ["cj"],
      categories: all,
      status: true,
    }),
    resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", statusStrategy, {
      short: ["pdb"],
      status: true,
    }),
    resource("networking.k8s.io", "v1", "Ingress", "ingresses", statusStrategy, {
      short: ["ing"],
      status: true,
    }),
    resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", {}, cluster),
    resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", {}, { short: ["netpol"] }),
    resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", endpointSliceStrategy),
    resource("coordination.k8s.io", "v1", "Lease", "leases", plainStrategy),
    resource("rbac.authorization.k8s.io", "v1", "Role", "roles", plainStrategy),
    resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", plainStrategy),
    resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", plainStrategy, cluster),
    resource(
      "rbac.authorization.k8s.io",
      "v1",
      "ClusterRoleBinding",
      "clusterrolebindings",
      plainStrategy,
      cluster,
    ),
    resource(
      "admissionregistration.k8s.io",
      "v1",
      "MutatingWebhookConfiguration",
      "mutatingwebhookconfigurations",
      webhookConfigurationStrategy,
      cluster,
    ),
    resource(
      "admissionregistration.k8s.io",
      "v1",
      "ValidatingWebhookConfiguration",
      "validatingwebhookconfigurations",
      webhookConfigurationStrategy,
      cluster,
    ),
    resource(
      "apiextensions.k8s.io",
      "v1",
      "CustomResourceDefinition",
      "customresourcedefinitions",
      definitionStrategy(now),
      { ...cluster, short: ["crd", "crds"], status: true },
    ),
    resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", plainStrategy, {
      ...cluster,
      short: ["pc"],
    }),
    resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", plainStrategy, {
      ...cluster,
      short: ["sc"],
    }),
    resource("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", {}, review),
    resource("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", {}, review),
    resource("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", {}, review),
    resource("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", {}, review),
    resource("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", {}, review),
    resource(
      "authorization.k8s.io",
      "v1",
      "LocalSubjectAccessReview",
      "localsubjectaccessreviews",
      {},
      { review: true },
    ),
  ];
}
