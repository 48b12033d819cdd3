import {
  type DestinationRule,
  DestinationRuleKind,
  type IstioGateway,
  IstioGatewayKind,
  type ServiceEntry,
  ServiceEntryKind,
  type Sidecar,
  SidecarKind,
  type Telemetry,
  TelemetryKind,
  type VirtualService,
  VirtualServiceKind,
  type WorkloadEntry,
  WorkloadEntryKind,
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
 * Keeps the status of Istio's objects: what of them cannot be carried out (`Accepted`), a proxy's refusal in Envoy's words
 * among it, and of VirtualServices, DestinationRules and Gateways how many proxies hold them (`Programmed`).
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
  let again = false;
  let closed = false;

  function plan(): void {
    // What changes while it writes may be of an object that it has passed.
    again = writing;
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
    for (const [kind, object] of objects()) {
      // What came since the mesh last looked is told of when it has: it tells again then.
      if (!mesh.follows(kind, object)) continue;
      const ref = refOf(object);
      const problems = (byObject.get(`${ref.kind}/${ref.namespace}/${ref.name}`) ?? []).filter(isOfIstio);
      const holding = programmedKinds.includes(kind) ? mesh.programmed(ref) : undefined;
      const wanted = conditionsOf(holding, problems);
      if (!differs(object, wanted)) continue;
      try {
        await patchStatus(kind, object.metadata, (newest) => ({
          ...newest.status,
          observedGeneration: object.metadata.generation,
          conditions: mergeConditions(newest, wanted, new Date(clock.now()).toISOString()),
        }));
      } catch (error) {
        again = true;
        logger.debug({ err: error, ...ref }, "status was not written");
      }
    }
    writing = false;
    if (again) plan();
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

type Stated =
  | VirtualService
  | DestinationRule
  | IstioGateway
  | ServiceEntry
  | WorkloadEntry
  | Telemetry
  | Sidecar;

/** Kinds of which it is known who holds what is made of them; the others are parts of what every proxy has. */
const programmedKinds: readonly Kind<Stated>[] = [VirtualServiceKind, DestinationRuleKind, IstioGatewayKind];

/** The kinds whose status is written. */
export const statedKinds: readonly Kind<Stated>[] = [
  ...programmedKinds,
  ServiceEntryKind,
  WorkloadEntryKind,
  TelemetryKind,
  SidecarKind,
];

/** The Gateway API's Gateways, which may have the names of Istio's, have statuses of their own. */
function isOfIstio({ field }: Problem): boolean {
  return !field.startsWith("/spec/listeners");
}

/** Problems that one condition names: enough to mend, short enough to read. */
const mostProblems = 20;

/** What an object's conditions should say. @param holding undefined where nobody counts who holds it */
export function conditionsOf(holding: Holding | undefined, problems: readonly Problem[]): Wanted[] {
  const accepted: Wanted = {
    type: "Accepted",
    status: problems.length === 0 ? "True" : "False",
    reason: problems.length === 0 ? "Accepted" : "Problems",
    message: wordAll(problems),
  };
  return holding === undefined ? [accepted] : [programmedOf(holding, problems), accepted];
}

function programmedOf({ held, of }: Holding, problems: readonly Problem[]): Wanted {
  const refused = problems.some(({ message }) => message.startsWith("a proxy refused"));
  return {
    type: "Programmed",
    status: refused || held < of ? "False" : of === 0 ? "Unknown" : "True",
    reason: refused ? "Refused" : held < of ? "Pending" : of === 0 ? "NoProxies" : "Programmed",
    message: `Programmed ${held}/${of}`,
  };
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
