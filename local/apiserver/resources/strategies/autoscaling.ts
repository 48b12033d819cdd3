/** HorizontalPodAutoscalers and PodDisruptionBudgets. */
import { invalidValue, required } from "../../field-errors.ts";
import { ensureObject, isObject, listAt, numberAt, objectAt, setDefault, textAt } from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

export const autoscalerStrategy: Strategy = {
  setDefaults(autoscaler) {
    const spec = ensureObject(autoscaler, "spec");
    setDefault(spec, "minReplicas", 1);
    if (autoscaler.apiVersion === "autoscaling/v1") {
      if (spec.targetCPUUtilizationPercentage === undefined && !hasMetricsAnnotation(autoscaler))
        spec.targetCPUUtilizationPercentage = 80;
    } else if (listAt(spec, "metrics").length === 0) {
      spec.metrics = [
        {
          type: "Resource",
          resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } },
        },
      ];
    }
    if (isObject(spec.behavior)) setBehaviorDefaults(spec.behavior);
  },
  prepareForCreate(autoscaler) {
    autoscaler.status =
      autoscaler.apiVersion === "autoscaling/v1"
        ? { currentReplicas: 0, desiredReplicas: 0 }
        : { desiredReplicas: 0, currentMetrics: null };
  },
  prepareForUpdate(autoscaler, old) {
    autoscaler.status = old.status;
  },
  validate: validateAutoscaler,
  countsGeneration: false,
};

function hasMetricsAnnotation({ metadata }: ApiObject): boolean {
  return metadata.annotations?.["autoscaling.alpha.kubernetes.io/metrics"] !== undefined;
}

function setBehaviorDefaults(behavior: Record<string, unknown>): void {
  const up = ensureObject(behavior, "scaleUp");
  setDefault(up, "selectPolicy", "Max");
  setDefault(up, "stabilizationWindowSeconds", 0);
  setDefault(up, "policies", [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ]);
  const down = ensureObject(behavior, "scaleDown");
  setDefault(down, "selectPolicy", "Max");
  setDefault(down, "policies", [{ type: "Percent", value: 100, periodSeconds: 15 }]);
}

function validateAutoscaler(autoscaler: ApiObject): FieldError[] {
  const spec = objectAt(autoscaler, "spec");
  const faults: FieldError[] = [];
  const [least = 1, most = 0] = [numberAt(spec, "minReplicas"), numberAt(spec, "maxReplicas")];
  if (least < 1) faults.push(invalidValue("spec.minReplicas", least, "must be greater than or equal to 1"));
  if (most < 1) faults.push(required("spec.maxReplicas", "must be set and greater than 0"));
  if (most < least) {
    faults.push(invalidValue("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"));
  }
  for (const field of ["kind", "name"]) {
    if ((textAt(spec, "scaleTargetRef", field) ?? "") === "")
      faults.push(required(`spec.scaleTargetRef.${field}`));
  }
  const { apiVersion = "", kind } = objectAt(spec, "scaleTargetRef");
  if (!String(apiVersion).includes("/") && kind !== "ReplicationController") {
    faults.push(
      invalidValue("spec.scaleTargetRef.apiVersion", apiVersion, "apiVersion must specify API group"),
    );
  }
  return faults;
}

export const disruptionBudgetStrategy: Strategy = {
  prepareForCreate(budget) {
    budget.status = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
  },
  prepareForUpdate(budget, old) {
    budget.status = old.status;
  },
  validate(budget) {
    const { minAvailable, maxUnavailable } = objectAt(budget, "spec");
    const faults: FieldError[] = [];
    if (minAvailable !== undefined && maxUnavailable !== undefined) {
      faults.push(invalidValue("spec", budget.spec, "minAvailable and maxUnavailable cannot be both set"));
    }
    for (const [field, value] of Object.entries({ minAvailable, maxUnavailable })) {
      if (typeof value === "number" && value < 0)
        faults.push(invalidValue(`spec.${field}`, value, "must be greater than or equal to 0"));
      if (typeof value === "string" && !/^\d+%$/.test(value)) {
        faults.push(
          invalidValue(
            `spec.${field}`,
            value,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
          ),
        );
      }
    }
    return faults;
  },
  updatesByVersionOnly: true,
};
