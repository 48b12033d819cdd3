import type { AuthorizationPolicy } from "../../api/kinds.ts";
import type { Problem } from "../../api/resource.ts";
import { actionOf, compilePolicy, isDryRun } from "../compile/compile.ts";
import type { MeshSettings } from "../compile/mesh.ts";
import type { Protocol } from "../compile/rule.ts";
import { selects, type Workload } from "../compile/select.ts";
import { type Evaluate, evaluateBy } from "../evaluate/evaluate.ts";
import { RuleIndex } from "../evaluate/index/rule-index.ts";

/** The policies of one action: their rules, and whose they are. */
class Shelf {
  readonly index = new RuleIndex();
  /** Ids of its rules by policy; a policy without a rule counts too. */
  private readonly rules = new Map<string, readonly string[]>();

  put(key: string, rules: readonly Parameters<RuleIndex["add"]>[0][]): void {
    for (const rule of rules) this.index.add(rule);
    this.rules.set(
      key,
      rules.map(({ id }) => id),
    );
  }

  drop(key: string): void {
    for (const id of this.rules.get(key) ?? []) this.index.remove(id);
    this.rules.delete(key);
  }

  readonly present = (): boolean => this.rules.size > 0;
}

/**
 * The policies in force at one workload, changed one at a time: a change costs what that policy costs, however many
 * others there are. `evaluate` answers by what is in at that moment.
 *
 * CUSTOM policies are not held, as nobody is asked here; see {@link customStages}.
 */
export class PolicyEngine {
  readonly evaluate: Evaluate;
  private readonly workload: Workload;
  private readonly mesh: MeshSettings;
  private readonly protocol: Protocol;
  private readonly shelves = {
    AUDIT: new Shelf(),
    DENY: new Shelf(),
    ALLOW: new Shelf(),
    dryDENY: new Shelf(),
    dryALLOW: new Shelf(),
  };
  /** Where each policy stands. */
  private readonly held = new Map<string, Shelf>();

  constructor(workload: Workload, mesh: MeshSettings, protocol: Protocol = "http") {
    this.workload = workload;
    this.mesh = mesh;
    this.protocol = protocol;
    const { AUDIT, DENY, ALLOW, dryDENY, dryALLOW } = this.shelves;
    this.evaluate = evaluateBy({
      audit: AUDIT.index,
      deny: DENY.index,
      allow: ALLOW.index,
      allowPresent: ALLOW.present,
      dryDeny: dryDENY.index,
      dryDenyPresent: dryDENY.present,
      dryAllow: dryALLOW.index,
      dryAllowPresent: dryALLOW.present,
    });
  }

  /**
   * Puts a policy in force, in the place of the one of its name. One that does not select the workload only takes the
   * old one away.
   *
   * @returns what of it cannot be carried out
   */
  put(policy: AuthorizationPolicy): readonly Problem[] {
    const { namespace = "default", name } = policy.metadata;
    this.remove(namespace, name);
    const shelf = this.shelfOf(policy);
    if (shelf === undefined || !selects(policy, this.workload, this.mesh.rootNamespace)) return [];
    const { rules, problems } = compilePolicy(policy, this.mesh, this.protocol);
    const key = `${namespace}/${name}`;
    shelf.put(key, rules);
    this.held.set(key, shelf);
    return problems;
  }

  /** Takes a policy out of force; nothing where it is not in. */
  remove(namespace: string, name: string): void {
    const key = `${namespace}/${name}`;
    this.held.get(key)?.drop(key);
    this.held.delete(key);
  }

  private shelfOf(policy: AuthorizationPolicy): Shelf | undefined {
    const action = actionOf(policy);
    const dryRun = isDryRun(policy);
    switch (action) {
      case "ALLOW":
        return dryRun ? this.shelves.dryALLOW : this.shelves.ALLOW;
      case "DENY":
        return dryRun ? this.shelves.dryDENY : this.shelves.DENY;
      case "AUDIT":
        return dryRun ? undefined : this.shelves.AUDIT;
      case "CUSTOM":
        return undefined;
    }
  }
}
