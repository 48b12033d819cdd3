import { selects } from "./workload.ts";

export type MutualTlsMode = "STRICT" | "PERMISSIVE" | "DISABLE";

/** A PeerAuthentication. `UNSET` takes the next wider level's mode. */
export interface MutualTlsRule {
  readonly namespace: string;
  /** undefined: the whole namespace, and the mesh where it is the root namespace. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly mode: MutualTlsMode | "UNSET";
  /** By port of the workload; counts only with a selector. */
  readonly byPort: ReadonlyMap<number, MutualTlsMode | "UNSET">;
  readonly createdAt: string;
}

/**
 * Istio's order: port, then workload, then namespace, then mesh (root namespace), then PERMISSIVE.
 * Of several at one level the oldest counts; a selector in the root namespace is not mesh-wide.
 *
 * @param rules oldest first
 */
export function mutualTlsMode(
  rules: readonly MutualTlsRule[],
  rootNamespace: string,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  port: number,
): MutualTlsMode {
  const own = rules.find(
    ({ namespace, selector }) =>
      namespace === workload.namespace && selector && selects(selector, workload.labels),
  );
  const modes = [own?.byPort.get(port), own?.mode];
  return modes.find(isSet) ?? namespaceMutualTlsMode(rules, rootNamespace, workload.namespace);
}

/** The mode of a namespace as callers may infer it: workload and port levels stay out, as in Istio. */
export function namespaceMutualTlsMode(
  rules: readonly MutualTlsRule[],
  rootNamespace: string,
  namespace: string,
): MutualTlsMode {
  const of = (wanted: string) =>
    rules.find((rule) => rule.namespace === wanted && rule.selector === undefined)?.mode;
  return [of(namespace), of(rootNamespace)].find(isSet) ?? "PERMISSIVE";
}

function isSet(mode: MutualTlsMode | "UNSET" | undefined): mode is MutualTlsMode {
  return mode !== undefined && mode !== "UNSET";
}
