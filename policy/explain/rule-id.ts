/** Which rule of which policy an id names. */
export interface NamedRule {
  readonly namespace: string;
  readonly policy: string;
  /** Position in the policy's `rules`, from 0. */
  readonly index: number;
}

/**
 * Reads `ns[N]-policy[P]-rule[I]`, also with what Istio writes around it for CUSTOM rules; undefined for what is no id
 * of a rule. Names of Kubernetes hold no brackets, so an id is read in one way only.
 */
export function readRuleId(id: string): NamedRule | undefined {
  const [, namespace, policy, index] = /ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]/.exec(id) ?? [];
  if (namespace === undefined || policy === undefined) return undefined;
  return { namespace, policy, index: Number(index) };
}
