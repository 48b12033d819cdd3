/** Webhook configurations and admission policies. */
import { required } from "../../field-errors.ts";
import { ensureObject, isObject, type JsonObject, listAt, objectAt, setDefault, textAt } from "../../json.ts";
import type { Strategy } from "../resource.ts";
import { webhookFaults } from "./webhook-rules.ts";

export const webhookConfigurationStrategy: Strategy = {
  setDefaults(configuration) {
    for (const webhook of listAt(configuration, "webhooks")) {
      if (!isObject(webhook)) continue;
      setDefault(webhook, "failurePolicy", "Fail");
      setDefault(webhook, "matchPolicy", "Equivalent");
      setDefault(webhook, "namespaceSelector", {});
      setDefault(webhook, "objectSelector", {});
      setDefault(webhook, "timeoutSeconds", 10);
      if (configuration.kind.startsWith("Mutating")) setDefault(webhook, "reinvocationPolicy", "Never");
      for (const rule of listAt(webhook, "rules")) if (isObject(rule)) setDefault(rule, "scope", "*");
      const service = objectAt(webhook, "clientConfig").service;
      if (isObject(service)) setDefault(service, "port", 443);
    }
  },
  validate: webhookFaults,
  updatesByVersionOnly: true,
};

function setConstraintDefaults(constraints: JsonObject): void {
  setDefault(constraints, "matchPolicy", "Equivalent");
  setDefault(constraints, "namespaceSelector", {});
  setDefault(constraints, "objectSelector", {});
  for (const field of ["resourceRules", "excludeResourceRules"])
    for (const rule of listAt(constraints, field)) if (isObject(rule)) setDefault(rule, "scope", "*");
}

export const policyStrategy: Strategy = {
  setDefaults(policy) {
    const spec = ensureObject(policy, "spec");
    setDefault(spec, "failurePolicy", "Fail");
    if (isObject(spec.matchConstraints)) setConstraintDefaults(spec.matchConstraints);
  },
  prepareForCreate(policy) {
    policy.status = {};
  },
  prepareForUpdate(policy, old) {
    policy.status = old.status;
  },
  validate: (policy) =>
    listAt(policy, "spec", "validations").length === 0 &&
    listAt(policy, "spec", "auditAnnotations").length === 0
      ? [
          required("spec.validations", "validations or auditAnnotations must contain at least one item"),
          required("spec.auditAnnotations", "validations or auditAnnotations must contain at least one item"),
        ]
      : [],
  updatesByVersionOnly: true,
};

export const policyBindingStrategy: Strategy = {
  setDefaults(binding) {
    const { matchResources } = ensureObject(binding, "spec");
    if (isObject(matchResources)) setConstraintDefaults(matchResources);
  },
  validate(binding) {
    const spec = objectAt(binding, "spec");
    return [
      ...((textAt(spec, "policyName") ?? "") === "" ? [required("spec.policyName")] : []),
      ...(listAt(spec, "validationActions").length === 0 ? [required("spec.validationActions")] : []),
    ];
  },
  updatesByVersionOnly: true,
};
