import { hasRules, ruleFaults } from "../cel/rules.ts";
import type { Target } from "../context.ts";
import { invalidValue } from "../field-errors.ts";
import type { ApiObject } from "../object.ts";
import { type NameForm, validateMetadata } from "../resources/names.ts";
import type { Schema } from "../schema/schema.ts";
import { validateSchema } from "../schema/validate.ts";
import { type FieldError, invalid } from "../status.ts";

const labelNames = new Set(["namespaces", "services"]);

/** Throws 422 with every fault of the object. `old` is what it replaces. */
export function validateObject(
  { resource, version }: Target,
  object: ApiObject,
  old: ApiObject | undefined,
): void {
  const form: NameForm =
    resource.group === "rbac.authorization.k8s.io"
      ? "path"
      : labelNames.has(resource.plural) && resource.group === ""
        ? "label"
        : "subdomain";
  const faults: FieldError[] = [...validateMetadata(object, form)];
  // Kubernetes checks this twice, and says it twice.
  if (old?.metadata.deletionTimestamp !== undefined)
    faults.push(...newFinalizers(object, old), ...newFinalizers(object, old));
  if (version.schema !== undefined) faults.push(...schemaFaults(object, old, version.schema));
  faults.push(...(resource.strategy.validate?.(object, old) ?? []));
  if (faults.length > 0) throw invalid(resource, object.metadata.name, faults);
}

function schemaFaults(object: ApiObject, old: ApiObject | undefined, schema: Schema): FieldError[] {
  const faults = validateSchema(object, schema);
  if (faults.length === 0) return ruleFaults(object, old, schema);
  if (!hasRules(schema)) return faults;
  const why =
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
  return [...faults, invalidValue("<nil>", null, why)];
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
