import type { ReadCanary } from "../../api/canary/types.ts";
import type { Move, Plan } from "../../controller/plan.ts";
import { paint } from "../output/colour.ts";
import { shortDuration } from "../output/duration.ts";
import { formatTable } from "../output/table.ts";

/** A plan as people read it: what would be made, the weights over time, how long a good and a bad release take. */
export function planText(canary: ReadCanary, { objects, moves, obstacles }: Plan): string {
  const { target, namespace, name } = canary;
  const rows = objects.map(({ action, object }) => [object.kind, object.metadata.name, action]);
  return [
    `${paint("bold", `${namespace}/${name}`)} releases ${target.kind.toLowerCase()} ${target.name} ${howOf(canary)}`,
    ...obstacles.map((text) => paint("yellow", `but: ${text}`)),
    rows.length === 0
      ? "\nNothing would be made or changed."
      : `\n${formatTable(["KIND", "NAME", "ACTION"], rows)}`,
    `\n${formatTable(
      ["AFTER", "CANARY", "", ""],
      moves.map((move) => moveRow(move, moves)),
    )}`,
    "",
    ...promises(canary, moves),
  ].join("\n");
}

function howOf({ skipAnalysis, analysis: { strategy, interval, shield } }: ReadCanary): string {
  if (skipAnalysis) return "without an analysis";
  const pace = `, a check each ${shortDuration(interval)}`;
  switch (strategy.kind) {
    case "weights":
      return `by weights${strategy.mirror ? ", mirrored first" : ""}${pace}${shield ? `; the primary answers what it fails of ${shield.methods.join(", ")}` : ""}`;
    case "ab-testing":
      return `as an A/B test${pace}`;
    case "blue-green":
      return `blue/green${pace}`;
  }
}

const barWidth = 20;

function moveRow({ after, kind, weight, iteration }: Move, moves: readonly Move[]): readonly string[] {
  const share = weight === undefined ? "" : `${weight} %`;
  const filled = Math.round(((weight ?? 0) / 100) * barWidth);
  const bar =
    weight === undefined
      ? ""
      : paint("cyan", "█".repeat(filled)) + paint("dim", "░".repeat(barWidth - filled));
  const words =
    kind === "promotion"
      ? weight === 0 || weight === undefined
        ? "promoted: all traffic to the primary's new pods"
        : "promotion: back to the primary step by step"
      : iteration === undefined
        ? ""
        : `iteration ${iteration} of ${moves.filter((move) => move.kind === "iteration").length}`;
  return [shortDuration(after), share, bar, words];
}

function promises({ analysis, skipAnalysis }: ReadCanary, moves: readonly Move[]): readonly string[] {
  if (skipAnalysis) return ["No check stands between a bad version and all users."];
  const { threshold, interval, guard, webhooks, metrics } = analysis;
  const end = moves.at(-1)?.after ?? 0;
  const checks = metrics.map(({ name }) => name).join(", ");
  const gates = webhooks.filter(({ type }) => type.startsWith("confirm-"));
  return [
    `A good version is promoted ${shortDuration(end)} after its pods are ready${gates.length > 0 ? `, if ${gates.map(({ name }) => name).join(", ")} let it` : ""}.`,
    guard.tripWire
      ? "A version that fails every request is taken back in about a second."
      : "The guard is off: only failed checks take a version back.",
    checks === ""
      ? "No metric is checked: a version is taken back only by the guard, its pods and its hooks."
      : `A version that fails ${checks} is taken back at the ${threshold}th failed check, ${shortDuration(threshold * interval)} after its first weight at the latest.`,
  ];
}
