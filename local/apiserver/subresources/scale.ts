import type { Target } from "../context.ts";
import { invalidValue } from "../field-errors.ts";
import { at, ensureObject, fieldOf, isObject, type JsonObject, numberAt, setField } from "../json.ts";
import type { ApiObject } from "../object.ts";
import type { ScalePaths } from "../resources/resource.ts";
import { printLabelSelector } from "../selectors/labels.ts";
import { invalid, unknownResource } from "../status.ts";

/** The `autoscaling/v1` Scale of an object. */
export function scaleOf(object: ApiObject, target: Target): JsonObject {
  const paths = pathsOf(target);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.labelSelector === undefined ? undefined : at(object, ...paths.labelSelector);
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(object, ...paths.specReplicas) ?? 0 },
    status: {
      replicas: numberAt(object, ...paths.statusReplicas) ?? 0,
      ...(selector === undefined
        ? {}
        : { selector: typeof selector === "string" ? selector : printLabelSelector(selector) }),
    },
  };
}

/** `object` with the replicas that a written Scale asks for. Throws 422 for a number below 0 of a built-in kind. */
export function withScale(object: ApiObject, scale: unknown, target: Target): ApiObject {
  const replicas = numberAt(scale, "spec", "replicas") ?? 0;
  // A custom resource is judged as a whole, by its schema too.
  if (!target.resource.custom && (!Number.isInteger(replicas) || replicas < 0)) {
    const fault = invalidValue("spec.replicas", replicas, "must be greater than or equal to 0");
    throw invalid({ group: "autoscaling", kind: "Scale" }, object.metadata.name, [fault]);
  }
  const { specReplicas } = pathsOf(target);
  let holder: JsonObject = object;
  for (const name of specReplicas.slice(0, -1)) holder = ensureObject(holder, name);
  setField(holder, specReplicas.at(-1) ?? "replicas", replicas);
  const version = fieldOf(isObject(scale) ? scale.metadata : undefined, "resourceVersion");
  if (typeof version === "string" && version !== "") object.metadata.resourceVersion = version;
  return object;
}

function pathsOf({ version }: Target): ScalePaths {
  if (version.scale === undefined) throw unknownResource();
  return version.scale;
}
