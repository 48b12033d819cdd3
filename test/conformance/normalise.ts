/** What differs between any two servers is named alike: identities, times, addresses, versions of objects. */

const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "<uid>"],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, "<time>"],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, "<token>"],
  [/\bkube-api-access-[a-z0-9]{5}\b/g, "kube-api-access-<name>"],
  [/\b10\.96\.\d{1,3}\.\d{1,3}\b/g, "<cluster-ip>"],
  [/-----BEGIN CERTIFICATE-----[\s\S]*-----END CERTIFICATE-----\n?/g, "<certificate>"],
];

/** Fields whose value is the server's own affair wherever they stand. */
const fields = new Map<string, (value: unknown) => unknown>([
  ["resourceVersion", (value) => (value === "" || value === "0" ? value : "<version>")],
  ["continue", (value) => (value === "" ? value : "<continue>")],
  ["nodePort", () => "<node-port>"],
  ["caBundle", () => "<ca>"],
]);

/** A copy of `value` with everything named alike that may differ. `own` are texts of this server, with their names. */
export function normalise(value: unknown, own: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string") return normaliseText(value, own);
  if (Array.isArray(value)) return value.map((item: unknown) => normalise(item, own));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, item]): [string, unknown] => {
    if (name === "cells" && Array.isArray(item)) return [name, normalise(item.map(ageless), own)];
    if (name === "managedFields" && Array.isArray(item))
      return [name, normalise(item.toSorted(byManager), own)];
    const rule = typeof item === "object" ? undefined : fields.get(name);
    return [normaliseText(name, own), rule === undefined ? normalise(item, own) : rule(item)];
  });
  entries.sort(([left], [right]) => (left < right ? -1 : 1));
  sortFaults(entries);
  const copy: Record<string, unknown> = Object.create(null);
  for (const [name, item] of entries) copy[name] = item;
  return copy;
}

/** A second may have passed on one of the servers. */
const ageless = (cell: unknown) => (typeof cell === "string" && /^\d+s$/.test(cell) ? "<age>" : cell);

/** A schema's faults come in the order of a Go map, which is another one each time. */
function sortFaults(entries: [string, unknown][]): void {
  for (const entry of entries) {
    const [name, value] = entry;
    if (name === "causes" && Array.isArray(value))
      entry[1] = value.toSorted((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
    if (name === "message" && typeof value === "string")
      entry[1] = value.replace(/(?<= is invalid: \[).*(?=\]$)/s, (list) =>
        list.split(", ").sort().join(", "),
      );
  }
}

/** Kubernetes orders managers by the second of their last write, which is a matter of luck. */
function byManager(left: unknown, right: unknown): number {
  const key = (entry: unknown) => {
    const { manager, operation, subresource, apiVersion } = entry as Record<string, unknown>;
    return JSON.stringify([operation, manager, subresource ?? "", apiVersion]);
  };
  return key(left) < key(right) ? -1 : 1;
}

/** A text with the same replacements. */
export function normaliseText(text: string, own: ReadonlyMap<string, string>): string {
  let named = text;
  for (const [found, name] of own) named = named.replaceAll(found, name);
  for (const [pattern, name] of patterns) named = named.replace(pattern, name);
  return named
    .replace(/(resourceVersion"?: ?"?)\d+/g, "$1<version>")
    .replace(/(ResourceVersion in (?:the precondition|record) \()\d+/g, "$1<version>")
    .replace(/(resource version:? )\d+( \(\d+\)|, current: \d+)?/gi, "$1<version>");
}
