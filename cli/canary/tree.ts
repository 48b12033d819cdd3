import type { Event, Pod } from "../../api/core.ts";
import type { Canary } from "../../api/kinds.ts";
import { parseDuration } from "../../lib/units.ts";
import { paint } from "../output/colour.ts";
import { ageOf, shortDuration } from "../output/duration.ts";
import { formatValue } from "./explain.ts";
import { analysisOf, paintPhase, phaseOf } from "./row.ts";

/** One side of a rollout as it stands. */
export interface Side {
  readonly workload: string;
  /** What its template says; undefined where the workload is not there. */
  readonly image: string | undefined;
  /** Pods that it wants. */
  readonly replicas: number;
  readonly pods: readonly Pod[];
}

/** A rollout at one moment. */
export interface RolloutView {
  readonly canary: Canary;
  readonly primary: Side;
  readonly target: Side;
  /** Oldest first. */
  readonly events: readonly Event[];
  /** Epoch milliseconds. */
  readonly now: number;
  /** Milliseconds since which the API server has not answered: all the rest is as it was then. */
  readonly unanswered?: number;
}

const barWidth = 24;
const newestEvents = 6;

/** A rollout as a tree, a line each: both sides with their pods, the checks, the evidence, the last events. Pure. */
export function rolloutTree(view: RolloutView): readonly string[] {
  const { canary, primary, target, events, now } = view;
  const { status } = canary;
  const weight = status?.canaryWeight ?? 0;
  return [
    headline(view),
    ...(view.unanswered === undefined
      ? []
      : [paint("yellow", `the API server has not answered for ${shortDuration(view.unanswered)}`)]),
    ...tree([
      sideNode("primary", 100 - weight, primary, now),
      sideNode("canary", weight, target, now),
      checksNode(canary),
      ...(status?.failure && status.phase === "Failed"
        ? [{ text: paint("red", `${status.failure.reason}: ${status.failure.message}`), below: [] }]
        : []),
      {
        text: "events",
        below: events.slice(-newestEvents).map((event) => ({ text: eventText(event, now), below: [] })),
      },
    ]),
  ];
}

function headline({ canary, now }: RolloutView): string {
  const { metadata, status } = canary;
  const weight = status?.canaryWeight ?? 0;
  const filled = Math.round((weight / 100) * barWidth);
  const bar = paint("cyan", "█".repeat(filled)) + paint("dim", "░".repeat(barWidth - filled));
  const name = paint("bold", `${metadata.namespace}/${metadata.name}`);
  const since = status?.run
    ? `run of ${ageOf(status.run.startedAt, now)}`
    : `for ${ageOf(status?.lastTransitionTime, now)}`;
  return `${name}  ${paintPhase(phaseOf(status))} ${since}  ${bar} ${weight} %${nextTick(canary, now)}`;
}

/** When the checks are counted next; what holds it, where something does. */
function nextTick({ spec, status }: Canary, now: number): string {
  const held = status?.conditions?.find(
    ({ type, reason }) => type === "Ready" && (reason === "Paused" || reason === "WaitingForApproval"),
  );
  if (held !== undefined) return paint("yellow", `  ${held.message ?? held.reason}`);
  if (status?.phase !== "Progressing" || status.run?.tickedAt === undefined) return "";
  const interval = parseDuration(analysisOf(spec)?.interval ?? "60s") ?? 60_000;
  const left = Date.parse(status.run.tickedAt) + interval - now;
  return paint("dim", left > 0 ? `  next check in ${shortDuration(left + 999)}` : "  checking");
}

interface Node {
  readonly text: string;
  readonly below: readonly Node[];
}

function tree(nodes: readonly Node[], indent = ""): readonly string[] {
  return nodes.flatMap(({ text, below }, index) => {
    const isLast = index === nodes.length - 1;
    return [`${indent}${isLast ? "└─" : "├─"} ${text}`, ...tree(below, `${indent}${isLast ? "   " : "│  "}`)];
  });
}

function sideNode(title: string, weight: number, side: Side, now: number): Node {
  const ready = side.pods.filter(isReady).length;
  const pods =
    ready > side.replicas ? `${ready} ready, ${side.replicas} wanted` : `${ready}/${side.replicas} ready`;
  const facts =
    side.image === undefined
      ? "not there"
      : `${String(weight).padStart(3)} %  ${pods}  ${paint("dim", side.image)}`;
  return {
    text: `${title.padEnd(8)} ${side.workload}  ${facts}`,
    below: side.pods.map((pod) => ({ text: podText(pod, now), below: [] })),
  };
}

function podText(pod: Pod, now: number): string {
  const { metadata, status } = pod;
  const restarts = (status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
  const word = metadata.deletionTimestamp === undefined ? stateOf(pod) : "Terminating";
  const colour = word === "Ready" ? "green" : word === "Terminating" ? "dim" : "yellow";
  const again = restarts > 0 ? paint("red", `  ${restarts} restarts`) : "";
  return `${metadata.name}  ${paint(colour, word)}  ${ageOf(metadata.creationTimestamp, now)}${again}`;
}

/** The reason that a container waits or ended for, else the pod's phase. */
function stateOf(pod: Pod): string {
  if (isReady(pod)) return "Ready";
  const containers = pod.status?.containerStatuses ?? [];
  const reasons = containers.flatMap(
    ({ state }) => state?.waiting?.reason ?? state?.terminated?.reason ?? [],
  );
  return reasons[0] ?? pod.status?.phase ?? "Pending";
}

function isReady({ status }: Pod): boolean {
  return (status?.conditions ?? []).some(({ type, status: value }) => type === "Ready" && value === "True");
}

function checksNode({ spec, status }: Canary): Node {
  const threshold = analysisOf(spec)?.threshold;
  const failed = status?.failedChecks ?? 0;
  const { harm, rollbackAt } = status?.analysis ?? {};
  const evidence =
    harm === undefined || rollbackAt === undefined
      ? ""
      : paint("dim", `  evidence of harm ${formatValue(harm)} of ${formatValue(rollbackAt)}`);
  return {
    text: `checks   ${failed}${threshold === undefined ? "" : ` of ${threshold}`} failed${evidence}`,
    below: (status?.checks ?? []).map(({ name, result, value, limit, message }) => ({
      text: `${mark(result)} ${name}  ${value === undefined ? (message ?? "no value") : formatValue(value)}${limit === undefined ? "" : paint("dim", `  wanted ${limit}`)}`,
      below: [],
    })),
  };
}

function mark(result: "passed" | "failed" | "inconclusive"): string {
  if (result === "passed") return paint("green", "✓");
  return result === "failed" ? paint("red", "✗") : paint("yellow", "?");
}

function eventText({ type, message = "", count = 1, ...event }: Event, now: number): string {
  const age = ageOf(event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp, now);
  const text = `${age.padStart(5)}  ${message}${count > 1 ? ` (x${count})` : ""}`;
  return type === "Warning" ? paint("yellow", text) : text;
}
