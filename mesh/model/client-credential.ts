import { type Caller, selectorText } from "./caller.ts";
import { type Credential, credentialFault, rootsFault } from "./credential.ts";
import type { DestinationPolicy, TrafficPolicy } from "./destination-policy.ts";

/** A policy block that takes its certificate from a Secret, and where it stands in its object. */
interface SecretUse {
  readonly secret: string;
  readonly mutual: boolean;
  /** Path of the block, below the object. */
  readonly path: readonly (string | number)[];
}

/** Which Secrets a DestinationRule names, all of them of its own namespace. */
export function secretUses(rule: DestinationPolicy): SecretUse[] {
  const blocks = (
    { policy, byPort }: Pick<DestinationPolicy, "policy" | "byPort">,
    path: readonly (string | number)[],
  ) => [
    use(policy, path),
    ...Array.from(byPort.values(), (ofPort, index) => use(ofPort, [...path, "portLevelSettings", index])),
  ];
  return [
    ...blocks(rule, ["spec", "trafficPolicy"]),
    ...rule.subsets.flatMap((subset, index) => blocks(subset, ["spec", "subsets", index, "trafficPolicy"])),
  ].filter((found) => found !== undefined);
}

function use({ tls }: TrafficPolicy, path: readonly (string | number)[]): SecretUse | undefined {
  if ((tls?.mode !== "simple" && tls?.mode !== "mutual") || tls.credentialName === undefined)
    return undefined;
  return { secret: tls.credentialName, mutual: tls.mode === "mutual", path: [...path, "tls"] };
}

/** The Secrets that a sidecar is given: those of policies that select it, as in Istio. */
export function secretsFor(policies: readonly DestinationPolicy[], caller: Caller): ReadonlySet<string> {
  const chosen = policies.filter(
    ({ namespace, selector }) =>
      selector !== undefined && namespace === caller.namespace && caller.selected.has(selectorText(selector)),
  );
  return new Set(chosen.flatMap(secretUses).map(({ secret }) => secret));
}

/** A Secret as a client uses it: its roots may stand in a Secret of their own, `<name>-cacert`. */
export function clientCredential(
  credentials: ReadonlyMap<string, Credential>,
  namespace: string,
  name: string,
): Credential | undefined {
  const own = credentials.get(`${namespace}/${name}`);
  const beside = credentials.get(`${namespace}/${name}-cacert`);
  if (own === undefined || own.roots !== undefined) return own;
  const refused = own.refused ?? beside?.refused;
  const roots = { roots: beside?.roots, revoked: beside?.revoked };
  return { ...own, ...roots, ...(refused !== undefined && { refused }) };
}

/** What is wrong with a Secret for a client's connections; undefined: nothing. */
export function clientCredentialFault(
  credential: Credential | undefined,
  mutual: boolean,
): string | undefined {
  if (credential === undefined) return "does not exist, or holds nothing of TLS";
  return (mutual ? credentialFault(credential) : undefined) ?? rootsFault(credential.roots);
}
