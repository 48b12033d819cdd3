import { listAt, objectAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { readLabelSelector } from "../selectors/labels.ts";
import type { AdmissionRequest } from "./admission.ts";

/** Whether a webhook's rule covers the request's operation and resource. */
export function ruleMatches(rule: unknown, { operation, target }: AdmissionRequest): boolean {
  const { resource, subresource } = target;
  const has = (field: string, value: string) =>
    listAt(rule, field).some((item) => item === "*" || item === value);
  const scope = textAt(rule, "scope") ?? "*";
  const inScope = scope === "*" || (scope === "Namespaced") === resource.namespaced;
  // matchPolicy Equivalent: a rule for another version of the same resource counts too.
  const versions = listAt(rule, "apiVersions");
  const inVersion = versions.includes("*") || resource.versions.some(({ name }) => versions.includes(name));
  return (
    inScope &&
    inVersion &&
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
