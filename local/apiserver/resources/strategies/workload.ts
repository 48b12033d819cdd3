/** Kinds with a pod template: Deployments, ReplicaSets, DaemonSets, StatefulSets, ReplicationControllers, PodTemplates. */
import { forbiddenField, invalidValue, notSupported, required } from "../../field-errors.ts";
import {
  ensureObject,
  equalJson,
  isObject,
  type JsonObject,
  listAt,
  objectAt,
  setDefault,
  textAt,
} from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import { readLabelSelector } from "../../selectors/labels.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";
import { setPodSpecDefaults } from "./pod-defaults.ts";
import { validatePodSpec } from "./pod-rules.ts";

interface Kind {
  readonly setKindDefaults: (spec: JsonObject, object: ApiObject) => void;
  /** What a new object's status is. */
  readonly status?: JsonObject;
  readonly validateKind?: (spec: JsonObject, old: JsonObject | undefined) => FieldError[];
}

function workloadStrategy({ setKindDefaults, status = {}, validateKind }: Kind): Strategy {
  return {
    setDefaults(object) {
      const spec = ensureObject(object, "spec");
      setKindDefaults(spec, object);
      setTemplateDefaults(spec);
    },
    prepareForCreate(object) {
      object.status = { ...status };
    },
    prepareForUpdate(object, old) {
      object.status = old.status;
    },
    validate(object, old) {
      const spec = objectAt(object, "spec");
      return [
        ...validate(object, old),
        ...(validateKind?.(spec, old === undefined ? undefined : objectAt(old, "spec")) ?? []),
      ];
    },
  };
}

function setTemplateDefaults(spec: JsonObject): void {
  if (!isObject(spec.template)) return;
  setPodSpecDefaults(ensureObject(spec.template, "spec"));
}

function validate(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = objectAt(object, "spec");
  const faults: FieldError[] = [];
  const { replicas, selector } = spec;
  const labels = objectAt(spec, "template", "metadata", "labels");
  if (typeof replicas === "number" && replicas < 0)
    faults.push(invalidValue("spec.replicas", replicas, "must be greater than or equal to 0"));
  if (!isObject(selector)) faults.push(required("spec.selector"));
  else if (
    Object.keys(objectAt(selector, "matchLabels")).length === 0 &&
    listAt(selector, "matchExpressions").length === 0
  )
    faults.push(
      invalidValue("spec.selector", selector, `empty selector is invalid for ${object.kind.toLowerCase()}`),
    );
  if (!isObject(selector) || !readLabelSelector(selector)(labels)) {
    faults.push(
      invalidValue("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"),
    );
  }
  faults.push(...validatePodSpec(objectAt(spec, "template", "spec"), "spec.template.spec"));
  const restart = textAt(spec, "template", "spec", "restartPolicy");
  if (restart !== undefined && restart !== "Always")
    faults.push(notSupported("spec.template.spec.restartPolicy", restart, ["Always"]));
  if (
    old !== undefined &&
    old.kind !== "ReplicationController" &&
    !equalJson(objectAt(old, "spec").selector, selector)
  )
    faults.push(invalidValue("spec.selector", selector, "field is immutable"));
  return faults;
}

export const deploymentStrategy: Strategy = workloadStrategy({
  setKindDefaults(spec) {
    setDefault(spec, "replicas", 1);
    setDefault(spec, "revisionHistoryLimit", 10);
    setDefault(spec, "progressDeadlineSeconds", 600);
    const strategy = ensureObject(spec, "strategy");
    setDefault(strategy, "type", "RollingUpdate");
    if (strategy.type !== "RollingUpdate") return;
    const rolling = ensureObject(strategy, "rollingUpdate");
    setDefault(rolling, "maxUnavailable", "25%");
    setDefault(rolling, "maxSurge", "25%");
  },
  validateKind(spec) {
    const faults: FieldError[] = [];
    const { type, rollingUpdate } = objectAt(spec, "strategy");
    if (type !== "Recreate" && type !== "RollingUpdate")
      faults.push(
        notSupported("spec.strategy", { Type: type, RollingUpdate: null }, ["Recreate", "RollingUpdate"]),
      );
    else if (type === "Recreate" && rollingUpdate !== undefined) {
      faults.push(
        forbiddenField(
          "spec.strategy.rollingUpdate",
          "may not be specified when strategy `type` is 'Recreate'",
        ),
      );
    } else if (
      isObject(rollingUpdate) &&
      isZero(rollingUpdate.maxUnavailable) &&
      isZero(rollingUpdate.maxSurge)
    ) {
      faults.push(
        invalidValue(
          "spec.strategy.rollingUpdate.maxUnavailable",
          rollingUpdate.maxUnavailable,
          "may not be 0 when `maxSurge` is 0",
        ),
      );
    }
    return faults;
  },
});

function isZero(value: unknown): boolean {
  return value === 0 || value === "0%";
}

export const replicaSetStrategy: Strategy = workloadStrategy({
  setKindDefaults: (spec) => setDefault(spec, "replicas", 1),
  status: { replicas: 0 },
});

const templateGeneration = "deprecated.daemonset.template.generation";

export const daemonSetStrategy: Strategy = withTemplateGeneration(
  workloadStrategy({
    setKindDefaults(spec, { metadata }) {
      metadata.annotations = { [templateGeneration]: "0", ...metadata.annotations };
      setDefault(spec, "revisionHistoryLimit", 10);
      const strategy = ensureObject(spec, "updateStrategy");
      setDefault(strategy, "type", "RollingUpdate");
      if (strategy.type !== "RollingUpdate") return;
      const rolling = ensureObject(strategy, "rollingUpdate");
      setDefault(rolling, "maxUnavailable", 1);
      setDefault(rolling, "maxSurge", 0);
    },
    status: { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 },
  }),
);

/** Counts the changes of a DaemonSet's template in the annotation that stands for a field of older versions. */
function withTemplateGeneration(strategy: Strategy): Strategy {
  const set = ({ metadata }: ApiObject, value: number) => {
    metadata.annotations = { ...metadata.annotations, [templateGeneration]: String(value) };
  };
  return {
    ...strategy,
    prepareForCreate(object) {
      strategy.prepareForCreate?.(object);
      set(object, 1);
    },
    prepareForUpdate(object, old) {
      strategy.prepareForUpdate?.(object, old);
      const same = equalJson(objectAt(object, "spec").template, objectAt(old, "spec").template);
      set(object, Number(old.metadata.annotations?.[templateGeneration] ?? 0) + (same ? 0 : 1));
    },
  };
}

const mutableOfStatefulSets = new Set([
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
]);

export const statefulSetStrategy: Strategy = workloadStrategy({
  setKindDefaults(spec) {
    setDefault(spec, "replicas", 1);
    if (spec.podManagementPolicy === undefined || spec.podManagementPolicy === "")
      spec.podManagementPolicy = "OrderedReady";
    setDefault(spec, "revisionHistoryLimit", 10);
    const strategy = ensureObject(spec, "updateStrategy");
    setDefault(strategy, "type", "RollingUpdate");
    if (strategy.type === "RollingUpdate")
      setDefault(ensureObject(strategy, "rollingUpdate"), "partition", 0);
    const retention = ensureObject(spec, "persistentVolumeClaimRetentionPolicy");
    setDefault(retention, "whenDeleted", "Retain");
    setDefault(retention, "whenScaled", "Retain");
    for (const claim of listAt(spec, "volumeClaimTemplates")) {
      if (!isObject(claim)) continue;
      claim.kind = "PersistentVolumeClaim";
      claim.apiVersion = "v1";
      setDefault(ensureObject(claim, "spec"), "volumeMode", "Filesystem");
      setDefault(ensureObject(claim, "status"), "phase", "Pending");
    }
  },
  status: { replicas: 0, availableReplicas: 0 },
  validateKind(spec, old) {
    if (old === undefined) return [];
    const fixed = (of: JsonObject) =>
      Object.fromEntries(Object.entries(of).filter(([name]) => !mutableOfStatefulSets.has(name)));
    return equalJson(fixed(spec), fixed(old))
      ? []
      : [
          forbiddenField(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
          ),
        ];
  },
});

export const replicationControllerStrategy: Strategy = {
  setDefaults(object) {
    const spec = ensureObject(object, "spec");
    setDefault(spec, "replicas", 1);
    const labels = objectAt(spec, "template", "metadata", "labels");
    if (Object.keys(labels).length > 0) {
      setDefault(spec, "selector", { ...labels });
      if (object.metadata.labels === undefined)
        object.metadata.labels = Object.fromEntries(
          Object.entries(labels).map(([name, value]) => [name, String(value)]),
        );
    }
    setTemplateDefaults(spec);
  },
  prepareForCreate(object) {
    object.status = { replicas: 0 };
  },
  prepareForUpdate(object, old) {
    object.status = old.status;
  },
};

export const podTemplateStrategy: Strategy = {
  setDefaults(object) {
    setPodSpecDefaults(ensureObject(ensureObject(object, "template"), "spec"));
  },
};
