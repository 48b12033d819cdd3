import { hasRules, ruleFaults } from "../cel/rules.ts";
import type { Target } from "../context.ts";
import { invalidValue } from "../field-errors.ts";
import { at, fieldOf } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { type NameForm, validateMetadata } from "../resources/names.ts";
import type { ScalePaths } from "../resources/resource.ts";
import { fieldSchema, type Schema } from "../schema/schema.ts";
import { validateSchema } from "../schema/validate.ts";
import { type FieldError, invalid } from "../status.ts";

const labelNames = new Set(["namespaces", "services"]);

/** Throws 422 with every fault of the object. `old` is what it replaces. */
export function validateObject(target: Target, object: ApiObject, old: ApiObject | undefined): void {
  const { resource, version } = target;
  const form: NameForm =
    resource.group === "rbac.authorization.k8s.io"
      ? "path"
      : labelNames.has(resource.plural) && resource.group === ""
        ? "label"
        : "subdomain";
  const faults: FieldError[] = [...validateMetadata(object, form, resource.custom)];
  // Kubernetes checks this twice, and says it twice.
  if (old?.metadata.deletionTimestamp !== undefined)
    faults.push(...newFinalizers(object, old), ...newFinalizers(object, old));
  if (version.schema !== undefined) faults.push(...customFaults(target, object, old, version.schema));
  faults.push(...(resource.strategy.validate?.(object, old) ?? []));
  if (faults.length > 0) throw invalid(resource, object.metadata.name, faults);
}

/** Faults of a custom resource, in the order of kube-apiserver. */
function customFaults(
  { version, subresource }: Target,
  object: ApiObject,
  old: ApiObject | undefined,
  schema: Schema,
): FieldError[] {
  const status = subresource === "status";
  const faults = [
    ...(status ? statusFaults(object, old, schema) : validateSchema(object, schema, "", old)),
    ...(version.scale === undefined ? [] : scaleFaults(object, version.scale, status)),
  ];
  if (!faults.some(({ type }) => blocking.has(type))) return [...faults, ...ruleFaults(object, old, schema)];
  if (!hasRules(schema)) return faults;
  const why =
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
  return [...faults, invalidValue("<nil>", null, why)];
}

/** Behind these a rule would meet values that it was not written for. */
const blocking = new Set<FieldError["type"]>([
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);

/** Through its own endpoint only the status is judged; messages name its fields from there. */
function statusFaults(object: ApiObject, old: ApiObject | undefined, schema: Schema): FieldError[] {
  const part = fieldSchema(schema, "status");
  if (part === undefined || object.status === undefined) return [];
  return validateSchema(object.status, part, "", fieldOf(old, "status")).map((fault) => ({
    ...fault,
    field: fault.field === "<nil>" || fault.field === "" ? "status" : `status.${fault.field}`,
  }));
}

/** What the scale subresource reads must be numbers of replicas, and a text. */
function scaleFaults(
  object: ApiObject,
  { specReplicas, statusReplicas, labelSelector }: ScalePaths,
  statusOnly: boolean,
): FieldError[] {
  const shown = (path: readonly string[]) => `.${path.join(".")}`;
  const wrong = (path: readonly string[], found: unknown, wanted: string, empty: unknown) =>
    invalidValue(
      shown(path),
      empty,
      `${shown(path)} accessor error: ${JSON.stringify(found)} is of the type ${goType(found)}, expected ${wanted}`.replaceAll(
        '"',
        "",
      ),
    );
  const replicas = (path: readonly string[]): FieldError[] => {
    const found = at(object, ...path);
    if (found === undefined) return [];
    if (typeof found !== "number" || !Number.isInteger(found)) return [wrong(path, found, "int64", 0)];
    if (found < 0) return [invalidValue(shown(path), found, "should be a non-negative integer")];
    const most = 2_147_483_647;
    return found > most ? [invalidValue(shown(path), found, `should be less than or equal to ${most}`)] : [];
  };
  const selector = labelSelector === undefined ? undefined : at(object, ...labelSelector);
  return [
    ...(statusOnly ? [] : replicas(specReplicas)),
    ...replicas(statusReplicas),
    ...(labelSelector === undefined || selector === undefined || typeof selector === "string"
      ? []
      : [wrong(labelSelector, selector, "string", "")]),
  ];
}

function goType(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  switch (typeof value) {
    case "number":
      return Number.isInteger(value) ? "int64" : "float64";
    case "boolean":
      return "bool";
    case "object":
      return "map[string]interface {}";
    default:
      return "string";
  }
}

function newFinalizers(object: ApiObject, old: ApiObject): FieldError[] {
  const added = (object.metadata.finalizers ?? []).filter(
    (name) => !(old.metadata.finalizers ?? []).includes(name),
  );
  if (added.length === 0) return [];
  return [
    {
      ...invalidValue("metadata.finalizers", added, ""),
      type: "FieldValueForbidden",
      message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((name) => JSON.stringify(name)).join(", ")}}`,
    },
  ];
}
