/** Many runs of each rule in each world, and what they come to. */
import { type SimulatedRun, simulate } from "../../analysis/simulate/run.ts";
import type { Scenario } from "../../analysis/simulate/scenarios.ts";
import { bounds, longest, type RuleName, ruleNames, rules, steps, titles } from "./rules.ts";

/** What one rule did in one world, over all seeds. */
export interface Cell {
  readonly runs: number;
  readonly rolledBack: number;
  readonly promoted: number;
  /** Median seconds to promotion; NaN where none was promoted. */
  readonly promotedAfter: number;
  /** Median and 95th percentile of seconds from the fault to the roll-back; Infinity where fewer were found. */
  readonly delay: number;
  readonly delayP95: number;
  /** Median of requests that the fault harmed. */
  readonly harmed: number;
}

export interface Row {
  readonly scenario: Scenario;
  readonly cells: Readonly<Partial<Record<RuleName, Cell>>>;
}

/** Runs every rule in `scenario`, each with seeds 1 to `seeds`. */
export function runRow(scenario: Scenario, seeds: number, names: readonly RuleName[] = ruleNames): Row {
  return { scenario, cells: Object.fromEntries(names.map((name) => [name, runCell(scenario, seeds, name)])) };
}

function runCell(scenario: Scenario, seeds: number, name: RuleName): Cell {
  const runs: SimulatedRun[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    runs.push(simulate(scenario, seed, rules[name](seed), steps, bounds, longest(name)));
  }
  const delays = runs.map(({ delay }) => delay ?? Number.POSITIVE_INFINITY);
  const promoted = runs.filter(({ verdict }) => verdict === "promoted");
  return {
    runs: runs.length,
    rolledBack: runs.filter(({ verdict }) => verdict === "rolled back").length,
    promoted: promoted.length,
    promotedAfter: quantile(
      promoted.map(({ t }) => t),
      0.5,
    ),
    delay: quantile(delays, 0.5),
    delayP95: quantile(delays, 0.95),
    harmed: quantile(
      runs.map(({ harmed }) => harmed),
      0.5,
    ),
  };
}

/** The value at this share of the sorted values; NaN of none. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * sorted.length)] ?? Number.NaN;
}

/** Share of runs with `outcome`, over all rows; undefined where the rule did not run. */
export function shareOf(
  rows: readonly Row[],
  name: RuleName,
  outcome: "rolledBack" | "promoted",
): number | undefined {
  const cells = rows.flatMap(({ cells }) => cells[name] ?? []);
  if (cells.length === 0) return undefined;
  const sum = (of: (cell: Cell) => number): number => cells.reduce((total, cell) => total + of(cell), 0);
  return sum((cell) => cell[outcome]) / sum(({ runs }) => runs);
}

/** Healthy worlds: share rolled back, and minutes to promotion. */
export function healthyTable(rows: readonly Row[]): string {
  return table(
    "nothing is wrong: rolled back (minutes to promotion)",
    rows,
    ({ runs, rolledBack, promotedAfter }) =>
      [
        `${percent(rolledBack / runs)}`,
        Number.isNaN(promotedAfter) ? "" : `(${Math.round(promotedAfter / 60)})`,
      ].join(" "),
  );
}

/** Faults: seconds to the roll-back, requests harmed, and the share found where that is not all. */
export function faultTable(rows: readonly Row[]): string {
  return table(
    "fault from the first second: seconds to roll-back, median/p95; requests harmed; found",
    rows,
    ({ runs, rolledBack, delay, delayP95, harmed }) => {
      const found = rolledBack === runs ? "" : `; ${percent(rolledBack / runs)}`;
      return `${seconds(delay)}/${seconds(delayP95)}; ${round(harmed)}${found}`;
    },
  );
}

function table(title: string, rows: readonly Row[], text: (cell: Cell) => string): string {
  const names = ruleNames.filter((name) => rows.some(({ cells }) => cells[name] !== undefined));
  const lines = [
    [title, ...names.map((name) => titles[name])],
    ...rows.map(({ scenario, cells }) => [
      scenario.name,
      ...names.map((name) => {
        const cell = cells[name];
        return cell === undefined ? "" : text(cell);
      }),
    ]),
  ];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column + 1]?.length ?? 0)));
  const first = Math.max(...lines.slice(1).map(([name = ""]) => name.length));
  return lines
    .map(([name = "", ...cells], index) => {
      const rest = cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
      return index === 0 ? `${name}\n${"".padEnd(first)}  ${rest}` : `${name.padEnd(first)}  ${rest}`;
    })
    .map((line) => line.trimEnd())
    .join("\n");
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
const seconds = (value: number): string => (Number.isFinite(value) ? String(value) : "–");
const round = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toFixed(1));
