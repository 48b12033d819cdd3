import { isObject, listAt, numberAt, objectAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { age, type Column, field, nameColumn, text } from "./column.ts";
import { humanDuration } from "./duration.ts";

const sidecarNames = (pod: ApiObject) =>
  new Set(
    listAt(pod, "spec", "initContainers")
      .filter((container) => textAt(container, "restartPolicy") === "Always")
      .map((container) => textAt(container, "name")),
  );

function statuses(pod: ApiObject, field: "containerStatuses" | "initContainerStatuses"): readonly unknown[] {
  return listAt(pod, "status", field);
}

/** READY counts containers and native sidecars. */
function ready(pod: ApiObject): string {
  const sidecars = sidecarNames(pod);
  const total = listAt(pod, "spec", "containers").length + sidecars.size;
  const up = [
    ...statuses(pod, "containerStatuses"),
    ...statuses(pod, "initContainerStatuses").filter((status) => sidecars.has(textAt(status, "name"))),
  ].filter((status) => isObject(status) && status.ready === true).length;
  return `${up}/${total}`;
}

function waitingOrEnd(state: Record<string, unknown>): string | undefined {
  const waiting = textAt(state, "waiting", "reason");
  if (waiting !== undefined && waiting !== "") return waiting;
  if (!isObject(state.terminated)) return undefined;
  const reason = textAt(state, "terminated", "reason");
  if (reason !== undefined && reason !== "") return reason;
  const signal = numberAt(state, "terminated", "signal") ?? 0;
  return signal === 0 ? `ExitCode:${numberAt(state, "terminated", "exitCode") ?? 0}` : `Signal:${signal}`;
}

/** STATUS: the phase, or what holds the pod up, as kubectl's printer finds it. */
export function podStatus(pod: ApiObject): string {
  const initial = textAt(pod, "status", "reason") ?? textAt(pod, "status", "phase") ?? "";
  const initializing = initStatus(pod);
  const reason = initializing ?? containerStatus(pod, initial);
  if (pod.metadata.deletionTimestamp === undefined) return reason;
  return textAt(pod, "status", "reason") === "NodeLost" ? "Unknown" : "Terminating";
}

function initStatus(pod: ApiObject): string | undefined {
  const sidecars = sidecarNames(pod);
  const list = statuses(pod, "initContainerStatuses");
  const total = listAt(pod, "spec", "initContainers").length;
  for (const [index, status] of list.entries()) {
    const state = objectAt(status, "state");
    if (isObject(state.terminated) && numberAt(state, "terminated", "exitCode") === 0) continue;
    if (isObject(status) && sidecars.has(textAt(status, "name")) && status.started === true) continue;
    const why = waitingOrEnd(state);
    return why === undefined || why === "PodInitializing" ? `Init:${index}/${total}` : `Init:${why}`;
  }
  return undefined;
}

function containerStatus(pod: ApiObject, initial: string): string {
  let reason = initial;
  let running = false;
  for (const status of statuses(pod, "containerStatuses").toReversed()) {
    const state = objectAt(status, "state");
    const why = waitingOrEnd(state);
    if (why !== undefined) reason = why;
    else if (isObject(status) && status.ready === true && isObject(state.running)) running = true;
  }
  if (reason !== "Completed" || !running) return reason;
  const condition = listAt(pod, "status", "conditions").find((item) => textAt(item, "type") === "Ready");
  return textAt(condition, "status") === "True" ? "Running" : "NotReady";
}

/** RESTARTS, with the time of the last one. */
function restarts(pod: ApiObject, now: number): string {
  const sidecars = sidecarNames(pod);
  let total = 0;
  let last = 0;
  const counted = [
    ...statuses(pod, "containerStatuses"),
    ...statuses(pod, "initContainerStatuses").filter((status) => sidecars.has(textAt(status, "name"))),
  ];
  for (const status of counted) {
    total += numberAt(status, "restartCount") ?? 0;
    const finished = Date.parse(textAt(status, "lastState", "terminated", "finishedAt") ?? "");
    if (finished > last) last = finished;
  }
  return total > 0 && last > 0 ? `${total} (${humanDuration(now - last)} ago)` : String(total);
}

function gates(pod: ApiObject): string {
  const wanted = listAt(pod, "spec", "readinessGates");
  if (wanted.length === 0) return "<none>";
  const met = wanted.filter((gate) =>
    listAt(pod, "status", "conditions").some(
      (condition) =>
        textAt(condition, "type") === textAt(gate, "conditionType") && textAt(condition, "status") === "True",
    ),
  );
  return `${met.length}/${wanted.length}`;
}

export const podColumns: readonly Column[] = [
  nameColumn,
  text("Ready", ready),
  text("Status", podStatus),
  text("Restarts", restarts),
  age,
  field("IP", ["status", "podIP"], "<none>", 1),
  field("Node", ["spec", "nodeName"], "<none>", 1),
  field("Nominated Node", ["status", "nominatedNodeName"], "<none>", 1),
  text("Readiness Gates", gates, 1),
];
