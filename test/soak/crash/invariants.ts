/** The invariants of a rollout, held against every version that the server stored. Pure. */
import { rollbackAnnotation, runAnnotation } from "../../../api/annotations.ts";
import type { Deployment } from "../../../api/core.ts";
import type { CanaryStatus } from "../../../api/generated/canaries.ts";
import type { Canary, VirtualService } from "../../../api/kinds.ts";
import type { KubeObject } from "../../../api/resource.ts";
import type { Version } from "./history.ts";

type Phase = NonNullable<CanaryStatus["phase"]>;

/** Which phase may follow which in two versions of a status. */
const graph: Readonly<Record<Phase, readonly Phase[]>> = {
  "": ["Initializing"],
  Initializing: ["Initialized", "Terminating"],
  Initialized: ["Waiting", "Progressing", "Terminating"],
  Waiting: ["Progressing", "Succeeded", "Terminating"],
  Progressing: ["WaitingPromotion", "Promoting", "Failed", "Succeeded", "Terminating"],
  WaitingPromotion: ["Progressing", "Promoting", "Failed", "Succeeded", "Terminating"],
  Promoting: ["Finalising", "Failed", "Terminating"],
  Finalising: ["Succeeded", "Failed", "Terminating"],
  Succeeded: ["Waiting", "Progressing", "Terminating"],
  Failed: ["Waiting", "Progressing", "Succeeded", "Terminating"],
  Terminating: ["Terminated"],
  Terminated: [],
};

/** Clocks of a process and of its timers differ by this much, milliseconds. */
const clockSlack = 60;

/**
 * What of I1-I6 and "no weight rises after a rollback began" did not hold, in words; empty where all did.
 *
 * @param target name of the Canary and of its target
 * @param interval of the Canary, milliseconds
 */
export function brokenInvariants(
  versions: readonly Version[],
  target: string,
  interval: number,
): readonly string[] {
  const broken: string[] = [];
  const latest = new Map<string, KubeObject>();
  const rolledBack = new Set<string>();
  const get = <T extends KubeObject>(kind: string, name: string) =>
    latest.get(`${kind}/${name}`) as T | undefined;

  function checkRoute(route: VirtualService): void {
    const before = get<VirtualService>("VirtualService", route.metadata.name);
    for (const rule of route.spec.http ?? []) {
      const weights = rule.route?.map(({ weight }) => weight ?? 0) ?? [];
      const sum = weights.reduce((total, weight) => total + weight, 0);
      if (weights.length > 1 && sum !== 100)
        broken.push(`I1: weights of ${route.metadata.name} are ${weights.join(", ")}`);
    }
    const { [runAnnotation]: run, [rollbackAnnotation]: mark } = route.metadata.annotations ?? {};
    if (mark !== undefined) rolledBack.add(JSON.parse(mark).run);
    const weight = canaryWeight(route, target);
    if (weight <= canaryWeight(before, target)) return;
    const id = run === undefined ? undefined : JSON.parse(run).run;
    if (rolledBack.has(id)) broken.push(`the weight of ${id} rose to ${weight} after its rollback began`);
    const ready = get<Deployment>("Deployment", target)?.status?.readyReplicas ?? 0;
    if (ready === 0) broken.push(`I2: weight ${weight} with no ready pod`);
    const { status } = get<Canary>("Canary", target) ?? {};
    if (status?.run?.id !== id)
      broken.push(`I4: weight ${weight} written for run ${id}, stored is ${status?.run?.id}`);
  }

  function checkPrimary(primary: Deployment): void {
    const before = get<Deployment>("Deployment", primary.metadata.name);
    if (before === undefined || imageOf(before) === imageOf(primary)) return;
    const phase = get<Canary>("Canary", target)?.status?.phase;
    const restored = primary.metadata.annotations?.[rollbackAnnotation] !== undefined;
    if (phase !== "Promoting" && !restored) broken.push(`I3: the primary's template changed in ${phase}`);
  }

  function checkStatus({ status }: Canary): void {
    const before = get<Canary>("Canary", target)?.status;
    const from = before?.phase ?? "";
    const to = status?.phase ?? "";
    // The first version seen may be in the middle of things.
    const isFirst = get<Canary>("Canary", target) === undefined;
    if (!isFirst && from !== to && !graph[from].includes(to))
      broken.push(`I5: ${to} after ${from || "nothing"}`);
    const [was, is] = [before?.run, status?.run];
    if ((is?.epoch ?? 0) < (was?.epoch ?? 0) && is !== undefined)
      broken.push(`I4: epoch ${is.epoch} after ${was?.epoch}`);
    if (was === undefined || is === undefined || was.id !== is.id || was.tickedAt === is.tickedAt) return;
    const passed = Date.parse(is.tickedAt ?? "") - Date.parse(was.tickedAt ?? "");
    // The first weight starts the clock anew.
    if (passed < interval - clockSlack && before?.canaryWeight !== 0)
      broken.push(`I6: two counts within ${passed} ms`);
  }

  for (const { object, deleted } of versions) {
    if (object.kind === "VirtualService") checkRoute(object as VirtualService);
    if (object.kind === "Deployment" && object.metadata.name === `${target}-primary`)
      checkPrimary(object as Deployment);
    if (object.kind === "Canary") checkStatus(object as Canary);
    const key = `${object.kind}/${object.metadata.name}`;
    if (deleted) latest.delete(key);
    else latest.set(key, object);
  }
  return broken;
}

/** The highest weight of the canary's destination in any rule; 0 where there is none. */
export function canaryWeight(route: VirtualService | undefined, target: string): number {
  const weights = (route?.spec.http ?? []).flatMap(({ route: destinations = [] }) =>
    destinations
      .filter(({ destination }) => destination.host === `${target}-canary`)
      .map(({ weight }) => (destinations.length === 1 ? 100 : (weight ?? 0))),
  );
  return Math.max(0, ...weights);
}

export function imageOf(deployment: Deployment | undefined): string | undefined {
  return deployment?.spec?.template.spec?.containers[0]?.image;
}
