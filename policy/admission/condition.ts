import {
  type CheckValue,
  checkAddress,
  checkNamespace,
  checkPattern,
  checkPort,
  checkPrincipal,
  checkRequestPrincipal,
  checkServiceAccount,
  checkSni,
  checkText,
} from "./values.ts";

const fixed: ReadonlyMap<string, CheckValue> = new Map([
  ["source.ip", checkAddress],
  ["remote.ip", checkAddress],
  ["source.namespace", checkNamespace],
  ["source.principal", checkPrincipal],
  ["source.serviceAccount", checkServiceAccount],
  ["source.trustDomain", checkPattern],
  ["request.auth.principal", checkRequestPrincipal],
  ["request.auth.audiences", checkText],
  ["request.auth.presenter", checkText],
  ["destination.ip", checkAddress],
  ["destination.port", checkPort],
  ["connection.sni", checkSni],
]);

const old: readonly (readonly [RegExp, string])[] = [
  [/^destination\.namespace$/, "is the policy's own namespace now"],
  [/^destination\.labels/, "is `selector.matchLabels` now"],
  [/^destination\.(name|user)$/, "exists no more"],
];

/** How values of a `when` key are checked, or what is wrong with the key. */
export function checkKey(key: string): CheckValue | string {
  const known = fixed.get(key);
  if (known) return known;
  for (const prefix of ["request.headers", "request.auth.claims", "experimental.envoy.filters."]) {
    if (!key.startsWith(prefix)) continue;
    const open = key.indexOf("[");
    const bracketed = key.endsWith("]") && open > 0 && open < key.length - 2;
    const nested = prefix !== "request.auth.claims" || /^[^[]+(\[[^[\]]+\])+$/.test(key);
    const direct = prefix.endsWith(".") || open === prefix.length;
    if (!bracketed || !nested || !direct) return `\`${key}\` must have the form \`${prefix}[name]\``;
    return prefix.endsWith(".") ? (value) => (value === "" ? { message: "is empty" } : undefined) : checkText;
  }
  const gone = old.find(([pattern]) => pattern.test(key))?.[1];
  if (gone) return `\`${key}\` ${gone}`;
  return `\`${key}\` is no key of a condition`;
}

/** Keys that an external authorizer's policies may not use: they run before tokens are read. */
export function isUnfitForCustom(key: string): boolean {
  return (
    ["source.namespace", "source.principal", "source.serviceAccount"].includes(key) ||
    key.startsWith("request.auth.")
  );
}
