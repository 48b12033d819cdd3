/** Roles and their bindings. */
import { invalidValue, notSupported, required } from "../../field-errors.ts";
import { equalJson, isObject, listAt, objectAt, setDefault, textAt } from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

const rbacGroup = "rbac.authorization.k8s.io";

function validateRules(role: ApiObject): FieldError[] {
  return listAt(role, "rules").flatMap((rule, index) => {
    const at = `rules[${index}]`;
    const faults: FieldError[] = [];
    if (listAt(rule, "verbs").length === 0)
      faults.push(required(`${at}.verbs`, "verbs must contain at least one value"));
    const urls = listAt(rule, "nonResourceURLs");
    if (urls.length > 0) {
      if (role.kind === "Role") {
        faults.push(
          invalidValue(`${at}.nonResourceURLs`, urls, "namespaced rules cannot apply to non-resource URLs"),
        );
      } else if (
        ["apiGroups", "resources", "resourceNames"].some((field) => listAt(rule, field).length > 0)
      ) {
        faults.push(
          invalidValue(
            `${at}.nonResourceURLs`,
            urls,
            "rules cannot apply to both regular resources and non-resource URLs",
          ),
        );
      }
      return faults;
    }
    if (listAt(rule, "apiGroups").length === 0)
      faults.push(required(`${at}.apiGroups`, "resource rules must supply at least one api group"));
    if (listAt(rule, "resources").length === 0)
      faults.push(required(`${at}.resources`, "resource rules must supply at least one resource"));
    return faults;
  });
}

const common = { countsGeneration: false, createsOnUpdate: true };

/** An empty list of rules is stored as none, and read again as null. */
function emptyRules(role: ApiObject): void {
  if (Array.isArray(role.rules) && role.rules.length === 0) role.rules = null;
}

export const roleStrategy: Strategy = {
  ...common,
  prepareForCreate: emptyRules,
  prepareForUpdate: emptyRules,
  validate: validateRules,
};

export const roleBindingStrategy: Strategy = {
  ...common,
  setDefaults(binding) {
    const reference = objectAt(binding, "roleRef");
    if ((textAt(reference, "apiGroup") ?? "") === "") reference.apiGroup = rbacGroup;
    for (const subject of listAt(binding, "subjects")) {
      if (!isObject(subject)) continue;
      if (subject.kind === "User" || subject.kind === "Group") setDefault(subject, "apiGroup", rbacGroup);
    }
  },
  validate(binding, old) {
    const faults: FieldError[] = [];
    const { kind, name } = objectAt(binding, "roleRef");
    const kinds = binding.kind === "ClusterRoleBinding" ? ["ClusterRole"] : ["Role", "ClusterRole"];
    if (!kinds.includes(String(kind))) faults.push(notSupported("roleRef.kind", kind, kinds));
    if (name === "" || name === undefined) faults.push(required("roleRef.name"));
    if (old !== undefined && !equalJson(old.roleRef, binding.roleRef)) {
      // As Go shows a struct without JSON names.
      const shown = { APIGroup: objectAt(binding, "roleRef").apiGroup, Kind: kind, Name: name };
      faults.push(invalidValue("roleRef", shown, "cannot change roleRef"));
    }
    listAt(binding, "subjects").forEach((subject, index) => {
      faults.push(...validateSubject(subject, `subjects[${index}]`, binding.kind === "ClusterRoleBinding"));
    });
    return faults;
  },
};

function validateSubject(subject: unknown, field: string, namespaceNeeded: boolean): FieldError[] {
  const kind = textAt(subject, "kind") ?? "";
  const faults: FieldError[] = [];
  if ((textAt(subject, "name") ?? "") === "") faults.push(required(`${field}.name`));
  const kinds = ["ServiceAccount", "User", "Group"];
  if (!kinds.includes(kind)) faults.push(notSupported(`${field}.kind`, kind, kinds));
  if (kind === "ServiceAccount" && namespaceNeeded && (textAt(subject, "namespace") ?? "") === "")
    faults.push(required(`${field}.namespace`));
  return faults;
}
