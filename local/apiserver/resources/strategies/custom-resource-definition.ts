import { uncompilableRules } from "../../cel/rules.ts";
import { invalidValue, required } from "../../field-errors.ts";
import { at, ensureObject, equalJson, isObject, listAt, objectAt, setDefault, textAt } from "../../json.ts";
import { type ApiObject, timestamp } from "../../object.ts";
import { unknownFormats } from "../../schema/known-formats.ts";
import { isSchema, type Schema } from "../../schema/schema.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

/** Makes the CRD strategy: names are accepted at once, so a CRD is Established when its creation is answered. */
export function definitionStrategy(now: () => number): Strategy {
  return {
    setDefaults(definition) {
      const spec = ensureObject(definition, "spec");
      const names = ensureObject(spec, "names");
      const kind = textAt(names, "kind") ?? "";
      setDefault(names, "singular", kind.toLowerCase());
      setDefault(names, "listKind", `${kind}List`);
      setDefault(spec, "conversion", { strategy: "None" });
    },
    prepareForCreate(definition) {
      const time = timestamp(now());
      const condition = (type: string, reason: string, message: string) => ({
        type,
        status: "True",
        lastTransitionTime: time,
        reason,
        message,
      });
      definition.status = {
        conditions: [
          condition("NamesAccepted", "NoConflicts", "no conflicts found"),
          condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        acceptedNames: objectAt(definition, "spec", "names"),
        storedVersions: [storageVersion(definition)],
      };
    },
    prepareForUpdate(definition, old) {
      const status = { ...objectAt(old, "status") };
      const stored = new Set([...listAt(status, "storedVersions"), storageVersion(definition)]);
      definition.status = {
        ...status,
        acceptedNames: objectAt(definition, "spec", "names"),
        storedVersions: [...stored],
      };
    },
    validate,
    warnings(definition, old) {
      const known = old === undefined ? new Set<string>() : formatsOf(old);
      return [...formatsOf(definition).difference(known)].map(
        (format) => `unrecognized format ${JSON.stringify(format)}`,
      );
    },
  };
}

function formatsOf(definition: ApiObject): Set<string> {
  const schemas = listAt(definition, "spec", "versions").map((version) =>
    at(version, "schema", "openAPIV3Schema"),
  );
  return new Set(schemas.flatMap((schema) => (isSchema(schema) ? [...unknownFormats(schema)] : [])));
}

function storageVersion(definition: ApiObject): string {
  const version = listAt(definition, "spec", "versions").find(
    (item) => isObject(item) && item.storage === true,
  );
  return textAt(version, "name") ?? "";
}

function validate(definition: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = objectAt(definition, "spec");
  const names = objectAt(spec, "names");
  const faults: FieldError[] = [];
  for (const field of ["group", "scope"])
    if ((textAt(spec, field) ?? "") === "") faults.push(required(`spec.${field}`));
  for (const field of ["plural", "kind"])
    if ((textAt(names, field) ?? "") === "") faults.push(required(`spec.names.${field}`));
  const expected = `${textAt(names, "plural") ?? ""}.${textAt(spec, "group") ?? ""}`;
  if (definition.metadata.name !== expected) {
    faults.push(
      invalidValue("metadata.name", definition.metadata.name, `must be spec.names.plural+"."+spec.group`),
    );
  }
  const versions = listAt(spec, "versions");
  const storage = versions.filter((version) => isObject(version) && version.storage === true);
  if (storage.length !== 1)
    faults.push(
      invalidValue(
        "spec.versions",
        versions.map((version) => textAt(version, "name")),
        "must have exactly one version marked as storage version",
      ),
    );
  if (storage.length === 0)
    faults.push(invalidValue("status.storedVersions", null, "must have at least one stored version"));
  faults.push(...schemaFaults(versions));
  for (const field of ["group", "scope"]) {
    const before = textAt(old, "spec", field);
    if (before !== undefined && before !== spec[field])
      faults.push(invalidValue(`spec.${field}`, spec[field], "field is immutable"));
  }
  return faults;
}

/** A schema that all versions share is told as the definition's own. */
function schemaFaults(versions: readonly unknown[]): FieldError[] {
  const schemas = versions.map((version) => at(version, "schema", "openAPIV3Schema"));
  const [first] = schemas;
  if (isObject(first) && schemas.every((schema) => equalJson(schema, first)))
    return schemaFaultsAt(first, "spec.validation.openAPIV3Schema");
  return schemas.flatMap((schema, index) =>
    schemaFaultsAt(schema, `spec.versions[${index}].schema.openAPIV3Schema`),
  );
}

function schemaFaultsAt(schema: unknown, path: string): FieldError[] {
  if (!isSchema(schema)) return [required(path)];
  const faults = [...typeFaults(schema, path, "at the root"), ...uncompilableRules(schema, path)];
  if (schema.type !== undefined && schema.type !== "object")
    faults.push(invalidValue(`${path}.type`, schema.type, "must be object at the root"));
  return faults;
}

/** In a structural schema each part has a type. */
function typeFaults(schema: Schema, path: string, where: string): FieldError[] {
  const { type, properties = {}, items, additionalProperties } = schema;
  const free =
    schema["x-kubernetes-int-or-string"] === true || schema["x-kubernetes-preserve-unknown-fields"] === true;
  return [
    ...((type ?? "") === "" && !(free && where !== "at the root")
      ? [required(`${path}.type`, `must not be empty ${where}`)]
      : []),
    ...Object.entries(properties).flatMap(([name, part]) =>
      typeFaults(part, `${path}.properties[${name}]`, "for specified object fields"),
    ),
    ...(items === undefined ? [] : typeFaults(items, `${path}.items`, "for specified array items")),
    ...(typeof additionalProperties === "object"
      ? typeFaults(additionalProperties, `${path}.additionalProperties`, "for specified object fields")
      : []),
  ];
}
