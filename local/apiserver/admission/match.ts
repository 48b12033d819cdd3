import { type JsonObject, listAt, objectAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import type { ResourceVersion } from "../resources/resource.ts";
import { readLabelSelector } from "../selectors/labels.ts";
import type { AdmissionRequest } from "./admission.ts";

/**
 * The version in which a webhook wants the object: the request's own where a rule covers it, else, by
 * `matchPolicy: Equivalent`, another that a rule covers. undefined where no rule does.
 */
export function matchedVersion(webhook: JsonObject, request: AdmissionRequest): ResourceVersion | undefined {
  const { resource, version } = request.target;
  const rules = listAt(webhook, "rules").filter((rule) => ruleMatches(rule, request));
  const covers = (rule: unknown, { name }: ResourceVersion) => {
    const versions = listAt(rule, "apiVersions");
    return versions.includes("*") || versions.includes(name);
  };
  if (rules.some((rule) => covers(rule, version))) return version;
  if (webhook.matchPolicy === "Exact") return undefined;
  for (const rule of rules) {
    const other = resource.versions.find((each) => each.served && covers(rule, each));
    if (other !== undefined) return other;
  }
  return undefined;
}

/** Whether a webhook's rule covers the request's operation and resource, in whatever version. */
function ruleMatches(rule: unknown, { operation, target }: AdmissionRequest): boolean {
  const { resource, subresource } = target;
  const has = (field: string, value: string) =>
    listAt(rule, field).some((item) => item === "*" || item === value);
  const scope = textAt(rule, "scope") ?? "*";
  return (
    (scope === "*" || (scope === "Namespaced") === resource.namespaced) &&
    has("operations", operation) &&
    has("apiGroups", resource.group) &&
    listAt(rule, "resources").some((pattern) =>
      resourceMatches(String(pattern), resource.plural, subresource),
    )
  );
}

// A star alone is every resource but no subresource; after a slash it is every subresource.
function resourceMatches(pattern: string, plural: string, subresource: string | undefined): boolean {
  const [wanted, wantedSubresource] = pattern.split("/");
  if (wanted !== "*" && wanted !== plural) return false;
  if (wantedSubresource === undefined) return subresource === undefined;
  return wantedSubresource === "*" || wantedSubresource === subresource;
}

/** Whether the webhook's namespace and object selectors take the request. Cluster-scoped objects have no namespace to miss. */
export function selectorsMatch(
  webhook: unknown,
  { object, old }: AdmissionRequest,
  namespace: ApiObject | undefined,
): boolean {
  const inNamespace = readLabelSelector(objectAt(webhook, "namespaceSelector"));
  if (namespace !== undefined && !inNamespace(objectAt(namespace, "metadata", "labels"))) return false;
  const selected = readLabelSelector(objectAt(webhook, "objectSelector"));
  return [object, old].some((item) => item !== undefined && selected(objectAt(item, "metadata", "labels")));
}
