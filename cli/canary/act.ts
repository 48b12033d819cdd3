import { setTimeout as sleep } from "node:timers/promises";
import {
  actionAnnotation,
  byAnnotation,
  reasonAnnotation,
  revisionAnnotation,
} from "../../api/annotations.ts";
import type { Event } from "../../api/core.ts";
import { type Canary, CanaryKind } from "../../api/kinds.ts";
import { isConflict } from "../../kube/error.ts";
import type { Cluster } from "../cluster.ts";
import { eventsOf } from "../event/list.ts";
import { findCanary } from "./find.ts";

export interface Asked {
  /** As the annotation has it, e.g. `promote` or `set-weight=20`. */
  readonly action: string;
  /** For which revision; default the one that the canary's status is about. */
  readonly revision?: string;
  readonly by: string;
  readonly reason?: string;
  /** How long the controller may take to answer, milliseconds; 0: it is not waited for. */
  readonly timeout: number;
}

/** What became of an action. */
export interface Answer {
  readonly outcome: "done" | "refused" | "asked";
  /** The controller's own words, or why there are none. */
  readonly message: string;
  readonly canary: Canary;
}

/** Events are written in the background, a moment after the action was carried out. */
const eventDelay = 3000;
const lookEvery = 100;
const mostConflicts = 10;

/**
 * Asks a canary's controller for something and waits for its answer.
 *
 * @throws Error where the Canary does not exist, or another action waits already
 */
export async function act(cluster: Cluster, name: string, asked: Asked): Promise<Answer> {
  const before = await findCanary(cluster, name);
  const told = answers(await eventsOf(cluster.client, before));
  const canary = await annotate(cluster, before, asked);
  if (asked.timeout === 0) return { outcome: "asked", message: "the controller is not waited for", canary };
  const deadline = performance.now() + asked.timeout;
  for (;;) {
    const now = await findCanary(cluster, name);
    if (now.metadata.annotations?.[actionAnnotation] === undefined) return answerOf(cluster, now, told);
    if (performance.now() > deadline) {
      const message =
        "no controller has taken it yet: is one running? The action stays asked until one does, or the annotation is removed";
      return { outcome: "asked", message, canary: now };
    }
    await sleep(lookEvery);
  }
}

/** Writes the annotations of an action; of somebody else's change in between the newest version counts. */
async function annotate(cluster: Cluster, canary: Canary, asked: Asked): Promise<Canary> {
  let present = canary;
  for (let attempt = 1; ; attempt++) {
    const pending = present.metadata.annotations?.[actionAnnotation];
    if (pending !== undefined)
      throw new Error(`action \`${pending}\` is asked already and no controller has taken it yet`);
    const { namespace, name, resourceVersion } = present.metadata;
    const revision = asked.revision ?? revisionOf(present);
    const annotations = {
      [actionAnnotation]: asked.action,
      [byAnnotation]: asked.by,
      [revisionAnnotation]: revision ?? null,
      [reasonAnnotation]: asked.reason ?? null,
    };
    try {
      const body = { metadata: { annotations, ...(resourceVersion !== undefined && { resourceVersion }) } };
      return await cluster.client.patch(CanaryKind, namespace, name, { kind: "merge", body });
    } catch (error) {
      if (!isConflict(error) || attempt >= mostConflicts) throw error;
      present = await findCanary(cluster, name);
    }
  }
}

/** The revision that a person means who reads this status. One that waits for its gate has no name there yet. */
export function revisionOf({ status }: Canary): string | undefined {
  if (status?.phase === "Waiting") return undefined;
  const isRunning = ["Progressing", "WaitingPromotion", "Promoting", "Finalising"].includes(
    status?.phase ?? "",
  );
  return (isRunning ? status?.run?.revision : undefined) ?? status?.lastAppliedSpec;
}

/** What the controller said of actions, and how often. */
function answers(events: readonly Event[]): ReadonlyMap<string, number> {
  const ofActions = events.filter(({ reason }) => reason === "Action" || reason === "ActionRefused");
  return new Map(ofActions.map(({ reason, message, count = 1 }) => [`${reason} ${message}`, count]));
}

async function answerOf(
  cluster: Cluster,
  canary: Canary,
  told: ReadonlyMap<string, number>,
): Promise<Answer> {
  const deadline = performance.now() + eventDelay;
  for (;;) {
    const now = answers(await eventsOf(cluster.client, canary));
    const fresh = [...now].find(([words, count]) => count > (told.get(words) ?? 0))?.[0];
    if (fresh !== undefined) {
      const [reason = "", ...message] = fresh.split(" ");
      return {
        outcome: reason === "Action" ? "done" : "refused",
        message: message.join(" "),
        canary: await findCanary(cluster, canary.metadata.name),
      };
    }
    if (performance.now() > deadline)
      return { outcome: "done", message: "the controller took it and wrote no event", canary };
    await sleep(lookEvery);
  }
}
