import { invalidValue, required } from "../../field-errors.ts";
import { ensureObject, equalJson, isObject, type JsonObject, objectAt, setDefault } from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import { readLabelSelector } from "../../selectors/labels.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";
import { setPodSpecDefaults, validatePodSpec } from "./pod.ts";

/** Deployments, ReplicaSets, DaemonSets and StatefulSets: a selector and a pod template. */
function workloadStrategy(setKindDefaults: (spec: JsonObject) => void): Strategy {
  return {
    setDefaults(object) {
      const spec = ensureObject(object, "spec");
      setKindDefaults(spec);
      setTemplateDefaults(spec);
    },
    prepareForCreate(object) {
      object.status = {};
    },
    prepareForUpdate(object, old) {
      object.status = old.status;
    },
    validate,
  };
}

function setTemplateDefaults(spec: JsonObject): void {
  if (!isObject(spec.template)) return;
  const metadata = ensureObject(spec.template, "metadata");
  setDefault(metadata, "creationTimestamp", null);
  setPodSpecDefaults(ensureObject(spec.template, "spec"));
}

function validate(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = objectAt(object, "spec");
  const faults: FieldError[] = [];
  const selector = objectAt(spec, "selector");
  const labels = objectAt(spec, "template", "metadata", "labels");
  if (
    Object.keys(objectAt(selector, "matchLabels")).length === 0 &&
    selector.matchExpressions === undefined
  ) {
    faults.push(required("spec.selector"));
  } else if (!readLabelSelector(selector)(labels)) {
    faults.push(
      invalidValue("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"),
    );
  }
  if (old !== undefined && !equalJson(objectAt(old, "spec", "selector"), selector)) {
    faults.push(invalidValue("spec.selector", selector, "field is immutable"));
  }
  const { replicas } = spec;
  if (typeof replicas === "number" && replicas < 0) {
    faults.push(invalidValue("spec.replicas", replicas, "must be greater than or equal to 0"));
  }
  return [...faults, ...validatePodSpec(objectAt(spec, "template", "spec"), "spec.template.spec")];
}

export const deploymentStrategy: Strategy = workloadStrategy((spec) => {
  setDefault(spec, "replicas", 1);
  setDefault(spec, "revisionHistoryLimit", 10);
  setDefault(spec, "progressDeadlineSeconds", 600);
  const strategy = ensureObject(spec, "strategy");
  setDefault(strategy, "type", "RollingUpdate");
  if (strategy.type !== "RollingUpdate") return;
  const rolling = ensureObject(strategy, "rollingUpdate");
  setDefault(rolling, "maxUnavailable", "25%");
  setDefault(rolling, "maxSurge", "25%");
});

export const replicaSetStrategy: Strategy = workloadStrategy((spec) => setDefault(spec, "replicas", 1));

export const daemonSetStrategy: Strategy = workloadStrategy((spec) => {
  setDefault(spec, "revisionHistoryLimit", 10);
  setDefault(spec, "updateStrategy", {
    type: "RollingUpdate",
    rollingUpdate: { maxUnavailable: 1, maxSurge: 0 },
  });
});

export const statefulSetStrategy: Strategy = workloadStrategy((spec) => {
  setDefault(spec, "replicas", 1);
  setDefault(spec, "podManagementPolicy", "OrderedReady");
  setDefault(spec, "revisionHistoryLimit", 10);
  setDefault(spec, "updateStrategy", { type: "RollingUpdate", rollingUpdate: { partition: 0 } });
});
