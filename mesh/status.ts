import {
  type DestinationRule,
  DestinationRuleKind,
  type VirtualService,
  VirtualServiceKind,
} from "../api/kinds.ts";
import type { Condition, Kind, Problem } from "../api/resource.ts";
import { refOf } from "../api/resource.ts";
import type { PatchStatus, Snapshot } from "../kube/contract.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Holding, Mesh } from "./contract.ts";

export interface StatusOptions {
  readonly mesh: Mesh;
  readonly snapshot: () => Snapshot;
  readonly patchStatus: PatchStatus;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds between two rounds of writing: what settles meanwhile is never written. */
  readonly interval?: number;
}

/**
 * Keeps the status of VirtualServices and DestinationRules: how many proxies hold them (`Programmed`), what of them cannot be carried out
 * (`Accepted`), a proxy's refusal in Envoy's words among it.
 *
 * Writes only what differs, at most once each `interval`; an API server that is away is asked again at the next change.
 *
 * @returns what stops it
 */
export function startStatus({
  mesh,
  snapshot,
  patchStatus,
  clock,
  logger,
  interval = 1000,
}: StatusOptions): () => void {
  let cancel: (() => void) | undefined;
  let writing = false;
  let closed = false;

  function plan(): void {
    if (closed || writing) return;
    cancel ??= clock.after(interval, () => {
      cancel = undefined;
      void write();
    });
  }

  async function write(): Promise<void> {
    writing = true;
    const byObject = Map.groupBy(
      mesh.problems(),
      ({ resource }) => `${resource.kind}/${resource.namespace}/${resource.name}`,
    );
    let failed = false;
    for (const [kind, object] of objects()) {
      const ref = refOf(object);
      const problems = byObject.get(`${ref.kind}/${ref.namespace}/${ref.name}`) ?? [];
      const wanted = conditionsOf(mesh.programmed(ref), problems);
      if (!differs(object, wanted)) continue;
      try {
        await patchStatus(kind, object.metadata, (newest) => ({
          ...newest.status,
          observedGeneration: newest.metadata.generation,
          conditions: mergeConditions(newest, wanted, new Date(clock.now()).toISOString()),
        }));
      } catch (error) {
        failed = true;
        logger.debug({ err: error, ...ref }, "status was not written");
      }
    }
    writing = false;
    if (failed) plan();
  }

  function* objects(): Generator<readonly [Kind<Stated>, Stated]> {
    for (const kind of statedKinds) for (const object of snapshot().list(kind)) yield [kind, object];
  }

  const unsubscribe = mesh.onStatus(plan);
  plan();
  return () => {
    closed = true;
    cancel?.();
    unsubscribe();
  };
}

type Wanted = Pick<Condition, "type" | "status" | "reason" | "message">;

type Stated = VirtualService | DestinationRule;

const statedKinds: readonly Kind<Stated>[] = [VirtualServiceKind, DestinationRuleKind];

/** Problems that one condition names: enough to mend, short enough to read. */
const mostProblems = 20;

/** What an object's conditions should say. */
export function conditionsOf({ held, of }: Holding, problems: readonly Problem[]): Wanted[] {
  const refused = problems.some(({ message }) => message.startsWith("a proxy refused"));
  const programmed: Wanted = {
    type: "Programmed",
    status: refused || held < of ? "False" : of === 0 ? "Unknown" : "True",
    reason: refused ? "Refused" : held < of ? "Pending" : of === 0 ? "NoProxies" : "Programmed",
    message: `Programmed ${held}/${of}`,
  };
  const accepted: Wanted = {
    type: "Accepted",
    status: problems.length === 0 ? "True" : "False",
    reason: problems.length === 0 ? "Accepted" : "Problems",
    message: wordAll(problems),
  };
  return [programmed, accepted];
}

function wordAll(problems: readonly Problem[]): string {
  const words = problems.slice(0, mostProblems).map(({ field, message }) => `${field}: ${message}`);
  const left = problems.length - words.length;
  return (left > 0 ? [...words, `and ${left} more`] : words).join("; ");
}

function differs({ metadata, status }: Stated, wanted: readonly Wanted[]): boolean {
  if (metadata.generation !== undefined && Number(status?.observedGeneration) !== metadata.generation)
    return true;
  return wanted.some((condition) => {
    const present = status?.conditions?.find(({ type }) => type === condition.type);
    return (
      present?.status !== condition.status ||
      present.reason !== condition.reason ||
      (present.message ?? "") !== condition.message
    );
  });
}

/** Others' conditions stay; a transition time changes with the status alone. */
function mergeConditions({ status }: Stated, wanted: readonly Wanted[], now: string) {
  const present = status?.conditions ?? [];
  const ours = wanted.map((condition) => {
    const before = present.find(({ type }) => type === condition.type);
    const same = before?.status === condition.status && before.lastTransitionTime !== undefined;
    return { ...condition, lastTransitionTime: same ? before.lastTransitionTime : now };
  });
  return [...present.filter(({ type }) => !wanted.some((condition) => condition.type === type)), ...ours];
}
