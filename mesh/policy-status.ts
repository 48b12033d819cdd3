import {
  type AuthorizationPolicy,
  AuthorizationPolicyKind,
  type RequestAuthentication,
  RequestAuthenticationKind,
} from "../api/kinds.ts";
import { type Condition, type Kind, type Problem, refOf } from "../api/resource.ts";
import type { Informers, PatchStatus } from "../kube/contract.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";

export interface PolicyStatusOptions {
  readonly informers: Informers;
  readonly problems: () => readonly Problem[];
  readonly patchStatus: PatchStatus;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells of changes that no policy object shows. */
  readonly onChange: (listener: () => void) => () => void;
  /** Milliseconds between two rounds of writing. */
  readonly interval?: number;
}

type Policy = AuthorizationPolicy | RequestAuthentication;
type Wanted = Pick<Condition, "type" | "status" | "reason" | "message">;

/**
 * Keeps the condition `Accepted` of AuthorizationPolicies and RequestAuthentications: what of them cannot be carried out,
 * by the field's path. Writes only what differs, at most once each `interval`.
 *
 * @returns what stops it
 */
export function startPolicyStatus({
  informers,
  problems,
  patchStatus,
  clock,
  logger,
  onChange,
  interval = 1000,
}: PolicyStatusOptions): () => void {
  let cancel: (() => void) | undefined;
  let writing = false;
  let again = false;
  let closed = false;

  function plan(): void {
    if (closed) return;
    again = writing;
    if (!writing) cancel ??= clock.after(interval, () => void write());
  }

  async function write(): Promise<void> {
    cancel = undefined;
    writing = true;
    const byObject = Map.groupBy(problems(), ({ resource }) => keyOf(resource));
    await writeKind(AuthorizationPolicyKind, byObject);
    await writeKind(RequestAuthenticationKind, byObject);
    writing = false;
    if (again) plan();
  }

  async function writeKind<T extends Policy>(
    kind: Kind<T>,
    byObject: ReadonlyMap<string, readonly Problem[]>,
  ): Promise<void> {
    for (const object of informers.snapshot().list(kind)) {
      const wanted = acceptedOf(byObject.get(keyOf(refOf(object))) ?? []);
      if (closed || !differs(object, wanted)) continue;
      try {
        await patchStatus(kind, object.metadata, (newest) => ({
          ...newest.status,
          conditions: merge(newest.status?.conditions, wanted, new Date(clock.now()).toISOString()),
        }));
      } catch (error) {
        again = true;
        logger.debug({ err: error, ...refOf(object) }, "status was not written");
      }
    }
  }

  const unsubscribe = [
    informers.onChange(AuthorizationPolicyKind, plan),
    informers.onChange(RequestAuthenticationKind, plan),
    onChange(plan),
  ];
  plan();
  return () => {
    closed = true;
    cancel?.();
    for (const stop of unsubscribe) stop();
  };
}

function keyOf({
  kind,
  namespace,
  name,
}: {
  kind: string;
  namespace?: string | undefined;
  name: string;
}): string {
  return `${kind}/${namespace}/${name}`;
}

/** What the condition should say. */
export function acceptedOf(problems: readonly Problem[]): Wanted {
  const said = [...new Set(problems.map(({ field, message }) => `${field}: ${message}`))];
  return {
    type: "Accepted",
    status: said.length === 0 ? "True" : "False",
    reason: said.length === 0 ? "Accepted" : "Problems",
    message: said.join("; "),
  };
}

function differs({ status }: Policy, wanted: Wanted): boolean {
  const present = status?.conditions?.find(({ type }) => type === wanted.type);
  // An object that nothing is wrong with needs no word about it until something was.
  if (present === undefined) return wanted.status !== "True";
  return present.status !== wanted.status || (present.message ?? "") !== wanted.message;
}

/** Others' conditions stay; the transition time changes with the status alone. */
function merge(present: NonNullable<Policy["status"]>["conditions"], wanted: Wanted, now: string) {
  const before = present?.find(({ type }) => type === wanted.type);
  const same = before?.status === wanted.status && before.lastTransitionTime !== undefined;
  const others = (present ?? []).filter(({ type }) => type !== wanted.type);
  return [...others, { ...wanted, lastTransitionTime: same ? before.lastTransitionTime : now }];
}
