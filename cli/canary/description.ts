import { describeRescues } from "../../analysis/describe-rescues.ts";
import type { Event } from "../../api/core.ts";
import type { Canary } from "../../api/kinds.ts";
import { eventHeaders, eventRow } from "../event/row.ts";
import { type Colour, paint } from "../output/colour.ts";
import { ageOf, shortDuration } from "../output/duration.ts";
import { formatTable, type Row } from "../output/table.ts";
import { formatValue } from "./explain.ts";
import { analysisOf, paintPhase, phaseOf } from "./row.ts";

/** All that there is to know about a canary, as text. `now` in epoch milliseconds. */
export function describeCanary(canary: Canary, events: readonly Event[], now: number): string {
  return [
    facts(canary, now),
    section("Checks", checkRows(canary, now)),
    section("Conditions", conditionRows(canary, now)),
    section("Runs", historyRows(canary, now)),
    section("Events", [eventHeaders(false), ...events.map((event) => eventRow(event, false, now))]),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function facts(canary: Canary, now: number): string {
  const { metadata, spec, status } = canary;
  const weight = status?.canaryWeight ?? 0;
  const analysis = analysisOf(spec);
  const rows: [string, string | undefined][] = [
    ["Name", metadata.name],
    ["Namespace", metadata.namespace],
    ["Target", `${spec.targetRef.kind} ${spec.targetRef.name}`],
    [
      "Phase",
      `${paintPhase(phaseOf(status))}, for ${ageOf(status?.lastTransitionTime ?? metadata.creationTimestamp, now)}`,
    ],
    ["Weights", `primary ${100 - weight} %, canary ${weight} %  ${weightBar(weight)}`],
    ["Steps", steps(analysis)],
    [
      "Failed checks",
      analysis?.threshold === undefined ? undefined : `${status?.failedChecks ?? 0} of ${analysis.threshold}`,
    ],
    [
      "Iterations",
      analysis?.iterations === undefined ? undefined : `${status?.iterations ?? 0} of ${analysis.iterations}`,
    ],
    [
      "Under analysis",
      status?.run && `revision ${status.run.revision}, since ${ageOf(status.run.startedAt, now)}`,
    ],
    ["Primary", status?.lastPromotedSpec && `revision ${status.lastPromotedSpec}`],
    ["Shield", shieldText(canary)],
    ["Suspended", spec.suspend ? "yes" : undefined],
    ["Failure", status?.failure && paint("red", `${status.failure.reason}: ${status.failure.message}`)],
  ];
  const given = rows.filter(([, value]) => value);
  const width = Math.max(...given.map(([name]) => name.length)) + 1;
  return given.map(([name, value]) => `${`${name}:`.padEnd(width)}  ${value}`).join("\n");
}

/** Which requests it covers, and what it did in the run under way, else in the last. */
function shieldText({ spec, status }: Canary): string | undefined {
  const shield = analysisOf(spec)?.shield;
  if (shield === undefined) return undefined;
  const { methods = ["GET", "HEAD", "OPTIONS"], hangAfter = "300ms" } = shield;
  const done = status?.shield && describeRescues(status.shield);
  return `${methods.join(", ")}, given up after ${hangAfter}${done === undefined ? "" : `; ${done}`}`;
}

/** Twenty marks, the canary's share at the right. */
function weightBar(weight: number): string {
  const canary = weight === 0 ? 0 : Math.max(1, Math.round(weight / 5));
  return paint("dim", "░".repeat(20 - canary)) + paint("cyan", "█".repeat(canary));
}

function steps(analysis: Canary["spec"]["analysis"]): string | undefined {
  if (analysis === undefined) return undefined;
  const { interval, stepWeight, stepWeights, maxWeight } = analysis;
  const pace = interval === undefined ? "" : `, each ${interval}`;
  if (stepWeights) return `${stepWeights.join(", ")} %${pace}`;
  return stepWeight === undefined ? undefined : `${stepWeight} % more up to ${maxWeight ?? 100} %${pace}`;
}

function checkRows({ status }: Canary, now: number): readonly Row[] {
  const rows = (status?.checks ?? []).map(({ name, result, value, limit, at, message }) => [
    name,
    paint(colours[result], result),
    value === undefined ? "-" : formatValue(value),
    limit ?? "-",
    ageOf(at, now),
    message ?? "",
  ]);
  return [["NAME", "VERDICT", "VALUE", "WANTED", "AGE", "MESSAGE"], ...rows];
}

const colours: Readonly<Record<"passed" | "failed" | "inconclusive", Colour>> = {
  passed: "green",
  failed: "red",
  inconclusive: "yellow",
};

function conditionRows({ status }: Canary, now: number): readonly Row[] {
  const rows = (status?.conditions ?? []).map(({ type, status, reason, message, lastTransitionTime }) => [
    type,
    status,
    reason,
    ageOf(lastTransitionTime, now),
    message ?? "",
  ]);
  return [["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"], ...rows];
}

/** The last runs, below the names of the columns. `now` in epoch milliseconds. */
export function historyRows({ status }: Canary, now: number): readonly Row[] {
  const rows = (status?.history ?? []).map((run) => {
    const { revision, outcome, startedAt, endedAt, weight, message } = run;
    const took = Date.parse(endedAt ?? "") - Date.parse(startedAt ?? "");
    return [
      revision.replace(/^v2:/, "").slice(0, 10),
      paint(outcome === "promoted" ? "green" : outcome === "rolled-back" ? "red" : "yellow", outcome),
      weight === undefined ? "-" : `${weight} %`,
      Number.isNaN(took) ? "-" : shortDuration(took),
      ageOf(endedAt, now),
      message ?? "",
    ];
  });
  return [["REVISION", "OUTCOME", "REACHED", "TOOK", "AGE", "MESSAGE"], ...rows];
}

/** A heading and an indented table; empty where there are no rows below the headers. */
function section(title: string, [headers, ...rows]: readonly Row[]): string {
  if (headers === undefined || rows.length === 0) return "";
  const table = formatTable(headers, rows).replace(/^/gm, "  ");
  return `${title}:\n${table}`;
}
