import type { ReadCanary } from "../api/canary/types.ts";
import { type Canary, CanaryKind } from "../api/kinds.ts";
import type { Snapshot } from "../kube/contract.ts";

/** The runs under way in this process. Kept in memory only: a restart finds them in the Canaries' states again. */
export interface RunQueue {
  /** What is known of one canary from now on. */
  set(key: string, isLive: boolean): void;
  remove(key: string): void;
  /** Why a new run of this canary has to wait; undefined where it may begin. */
  obstacle(key: string, canary: ReadCanary, snapshot: Snapshot): string | undefined;
}

/** @param most runs at the same time; undefined: no limit */
export function createRunQueue(most: number | undefined): RunQueue {
  const live = new Set<string>();
  return {
    set(key, isLive) {
      if (isLive) live.add(key);
      else live.delete(key);
    },
    remove: (key) => void live.delete(key),
    obstacle(key, canary, snapshot) {
      const waitsFor = canary.dependsOn
        .map((name) => unfinished(name, snapshot.get(CanaryKind, canary.namespace, name)))
        .find((why) => why !== undefined);
      if (waitsFor !== undefined) return waitsFor;
      if (most === undefined || live.has(key) || live.size < most) return undefined;
      return `${live.size} rollouts are under way, at most ${most} may be`;
    },
  };
}

/** Why a canary that another depends on holds it back: it is under way, has failed, or was never there. */
function unfinished(name: string, canary: Canary | undefined): string | undefined {
  if (canary === undefined) return `it depends on canary \`${name}\`, which does not exist`;
  const phase = canary.status?.phase ?? "";
  const isDone = phase === "Initialized" || phase === "Succeeded";
  return isDone ? undefined : `it depends on canary \`${name}\`, which is ${phase || "not initialized"}`;
}
