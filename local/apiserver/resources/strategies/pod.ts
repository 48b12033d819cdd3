import { randomInt } from "node:crypto";
import {
  ensureObject,
  equalJson,
  isObject,
  type JsonObject,
  listAt,
  numberAt,
  setDefault,
  textAt,
} from "../../json.ts";
import { type ApiObject, timestamp } from "../../object.ts";
import { type FieldError, forbidden } from "../../status.ts";
import type { Store } from "../../storage/store.ts";
import type { Strategy } from "../resource.ts";
import { setPodSpecDefaults } from "./pod-defaults.ts";
import { validatePodSpec } from "./pod-rules.ts";

export const podStrategy: Strategy = {
  setDefaults(pod) {
    const spec = ensureObject(pod, "spec");
    setRequestsFromLimits(spec);
    setPodSpecDefaults(spec, true);
    setDefault(spec, "enableServiceLinks", true);
  },
  admit(pod, store) {
    const spec = ensureObject(pod, "spec");
    setDefault(spec, "serviceAccountName", "default");
    setDefault(spec, "serviceAccount", spec.serviceAccountName);
    const account = findAccount(pod, String(spec.serviceAccountName), store);
    if (listAt(spec, "imagePullSecrets").length === 0 && listAt(account, "imagePullSecrets").length > 0)
      spec.imagePullSecrets = listAt(account, "imagePullSecrets");
    if (account?.automountServiceAccountToken !== false || spec.automountServiceAccountToken === true)
      mountToken(spec);
    tolerateShortOutages(spec);
    setDefault(spec, "priority", 0);
    setDefault(spec, "preemptionPolicy", "PreemptLowerPriority");
  },
  prepareForCreate(pod) {
    pod.status = { phase: "Pending", qosClass: qosClass(pod) };
  },
  prepareForUpdate(pod, old) {
    pod.status = old.status;
  },
  validate: (pod, old) => (old === undefined ? validatePodSpec(pod.spec, "spec") : validateUpdate(pod, old)),
  gracePeriod(pod, asked) {
    const unassigned = (textAt(pod, "spec", "nodeName") ?? "") === "";
    const phase = textAt(pod, "status", "phase");
    if (unassigned || phase === "Succeeded" || phase === "Failed") return 0;
    return Math.max(0, asked ?? numberAt(pod, "spec", "terminationGracePeriodSeconds") ?? 30);
  },
  answersDeleted: true,
};

/** A container that limits a resource asks for as much, unless it says otherwise. */
function setRequestsFromLimits(spec: JsonObject): void {
  for (const field of ["initContainers", "containers"]) {
    for (const container of listAt(spec, field)) {
      const resources = isObject(container) ? container.resources : undefined;
      if (!isObject(resources) || !isObject(resources.limits)) continue;
      const requests = ensureObject(resources, "requests");
      for (const [name, limit] of Object.entries(resources.limits)) setDefault(requests, name, limit);
    }
  }
}

/** The pod's service account. The default one may still be on its way into a new namespace. */
function findAccount({ metadata }: ApiObject, name: string, store: Store): ApiObject | undefined {
  const account = store.get("serviceaccounts", metadata.namespace, name)?.object;
  if (account !== undefined || name === "default") return account;
  throw forbidden(
    { group: "", plural: "pods" },
    metadata.name,
    `error looking up service account ${metadata.namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
  );
}

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";

const tokenVolumePrefix = "kube-api-access-";

function tokenVolumeName(): string {
  let name = tokenVolumePrefix;
  for (let index = 0; index < 5; index++) name += suffixAlphabet[randomInt(suffixAlphabet.length)];
  return name;
}

/** Gives every container the token of the pod's service account, as Kubernetes' ServiceAccount admission does. */
function mountToken(spec: JsonObject): void {
  if (spec.automountServiceAccountToken === false) return;
  const containers = [...listAt(spec, "initContainers"), ...listAt(spec, "containers")].filter(isObject);
  const without = containers.filter(
    (container) =>
      !listAt(container, "volumeMounts").some((mount) => textAt(mount, "mountPath") === tokenPath),
  );
  if (without.length === 0) return;
  const known = listAt(spec, "volumes")
    .map((volume) => textAt(volume, "name") ?? "")
    .find((volume) => volume.startsWith(tokenVolumePrefix));
  const name = known ?? tokenVolumeName();
  for (const container of without) {
    container.volumeMounts = [
      ...listAt(container, "volumeMounts"),
      { name, readOnly: true, mountPath: tokenPath },
    ];
  }
  if (known !== undefined) return;
  const sources = [
    { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
    { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    {
      downwardAPI: {
        items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
      },
    },
  ];
  spec.volumes = [...listAt(spec, "volumes"), { name, projected: { sources, defaultMode: 420 } }];
}

/** A pod stays five minutes on a node that is not ready or not reached, as Kubernetes' admission sets it. */
function tolerateShortOutages(spec: JsonObject): void {
  const tolerations = [...listAt(spec, "tolerations")];
  for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
    const tolerated = tolerations.some(
      (item) => textAt(item, "key") === key || (textAt(item, "key") ?? "") === "",
    );
    if (!tolerated)
      tolerations.push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
  }
  spec.tolerations = tolerations;
}

function validateUpdate(pod: ApiObject, old: ApiObject): FieldError[] {
  const faults = validatePodSpec(pod.spec, "spec");
  if (faults.length > 0) return faults;
  if (equalJson(fixedSpec(pod), fixedSpec(old))) return [];
  return [
    {
      type: "FieldValueForbidden",
      field: "spec",
      message:
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    },
  ];
}

/** What of a pod's spec may not change. */
function fixedSpec(pod: ApiObject): unknown {
  if (!isObject(pod.spec)) return undefined;
  const { tolerations: _t, activeDeadlineSeconds: _d, nodeName: _n, ...rest } = pod.spec;
  const withoutImages = (list: unknown) =>
    Array.isArray(list)
      ? list.map((item: unknown) => (isObject(item) ? { ...item, image: "" } : item))
      : list;
  return {
    ...rest,
    containers: withoutImages(rest.containers),
    initContainers: withoutImages(rest.initContainers),
  };
}

function qosClass(pod: ApiObject): string {
  const containers = [...listAt(pod, "spec", "containers"), ...listAt(pod, "spec", "initContainers")];
  const anyResources = containers.some((container) => {
    const resources = isObject(container) ? container.resources : undefined;
    return isObject(resources) && (isObject(resources.requests) || isObject(resources.limits));
  });
  if (!anyResources) return "BestEffort";
  const guaranteed = containers.every((container) => {
    const resources = isObject(container) ? container.resources : undefined;
    if (!isObject(resources) || !isObject(resources.limits)) return false;
    const { limits } = resources;
    if (limits.cpu === undefined || limits.memory === undefined) return false;
    return resources.requests === undefined || equalJson(resources.requests, limits);
  });
  return guaranteed ? "Guaranteed" : "Burstable";
}

/** The PodScheduled condition that binding to a node sets. */
export function scheduledCondition(now: number): JsonObject {
  return { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: timestamp(now) };
}
