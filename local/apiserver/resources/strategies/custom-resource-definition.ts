import { uncompilableRules } from "../../cel/rules.ts";
import { invalidValue, required } from "../../field-errors.ts";
import { ensureObject, isObject, listAt, objectAt, setDefault, textAt } from "../../json.ts";
import { type ApiObject, timestamp } from "../../object.ts";
import { isSchema } from "../../schema/schema.ts";
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
  };
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
  versions.forEach((version, index) => {
    const schema = objectAt(version, "schema").openAPIV3Schema;
    if (!isObject(schema)) {
      faults.push(required(`spec.versions[${index}].schema.openAPIV3Schema`, "schemas are required"));
    } else if (schema.type !== "object") {
      faults.push(
        invalidValue(
          `spec.versions[${index}].schema.openAPIV3Schema.type`,
          schema.type ?? "",
          "must be object at the root",
        ),
      );
    } else if (isSchema(schema)) {
      faults.push(...uncompilableRules(schema, `spec.versions[${index}].schema.openAPIV3Schema`));
    }
  });
  for (const field of ["group", "scope"]) {
    const before = textAt(old, "spec", field);
    if (before !== undefined && before !== spec[field])
      faults.push(invalidValue(`spec.${field}`, spec[field], "field is immutable"));
  }
  return faults;
}
