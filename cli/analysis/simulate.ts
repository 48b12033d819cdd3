import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import type { RunRecord } from "../../analysis/record/format.ts";
import type { RuleSettings } from "../../analysis/replay/create-rule.ts";
import { drawForecasts, placeOf, spanText } from "../../analysis/report/forecast-picture.ts";
import { judgeBase, sequentialSettings } from "../../analysis/settings.ts";
import {
  type Forecast,
  forecast,
  type Outcome,
  type Traffic,
  worldsFor,
} from "../../analysis/simulate/forecast.ts";
import { readTraffic } from "../../analysis/simulate/read-traffic.ts";
import { UsageError } from "../failure.ts";
import { paint } from "../output/colour.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { formatTable } from "../output/table.ts";
import { addRecordOptions, findRecord, type RecordOptions, readCanaryFile } from "./files.ts";

interface SimulateOptions extends RecordOptions {
  readonly canary: string;
  readonly run?: string;
  readonly rate?: string;
  readonly base?: string;
  readonly runs: string;
  readonly svg?: string;
  readonly output: Format;
}

/** Adds `fairlead analysis simulate`. */
export function addSimulate(analysis: Command): void {
  const command = analysis
    .command("simulate")
    .description(
      "what to expect of a canary's analysis at its traffic: false roll-backs, and how soon faults are found",
    )
    .requiredOption("--canary <file>", "manifest of the Canary")
    .option("--rate <requests>", "requests per second, of both versions together")
    .option("--base <percent>", "percent of requests that fail anyway")
    .option("--run <run>", "take both from a recorded run, or from the last one of a canary")
    .option("--runs <number>", "simulated rollouts of each rule in each world", "50")
    .option("--svg <file>", "also write the picture");
  addOutputOption(addRecordOptions(command))
    .addHelpText(
      "after",
      "\nLatencies are around 80 ms (P99 350 ms). The trip wire, which ends a total outage within a second, is not simulated.\n\nExamples:\n  fairlead analysis simulate --canary canary.yaml --rate 50 --base 0.1\n  fairlead analysis simulate --canary canary.yaml --run shop --svg forecast.svg",
    )
    .action(simulateAll);
}

async function simulateAll(options: SimulateOptions): Promise<void> {
  const { analysis, name } = readCanaryFile(options.canary);
  const traffic = await trafficOf(options);
  const runs = whole(options.runs, "--runs", 10_000);
  const settings: RuleSettings = {
    base: { ...judgeBase(analysis), bounds: simulatedBounds },
    threshold: analysis.threshold,
    guard: analysis.guard,
    sequential: sequentialSettings(analysis),
  };
  const forecasts: Forecast[] = [];
  for (const world of worldsFor(traffic)) {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${world.name} …`);
    forecasts.push(forecast(world, settings, runs));
    // So that Ctrl-C is heard between two worlds.
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (process.stderr.isTTY) process.stderr.write("\r\u001B[K");
  const title = `${name} at ${round(traffic.rate)} requests/s, of which ${round(traffic.base * 100)} % fail anyway; ${runs} rollouts each`;
  if (options.svg !== undefined) writeFileSync(options.svg, drawForecasts(title, forecasts));
  if (options.output === "table") process.stdout.write(`${title}\n\n${tables(forecasts)}\n`);
  else await printData({ canary: name, traffic, runs, forecasts: forecasts.map(finite) }, options.output);
}

/** Istio's buckets, those that requests of a simulated world fall into. */
const simulatedBounds = [25, 50, 100, 250, 500, 1000, 2500];

async function trafficOf(options: SimulateOptions): Promise<Traffic> {
  const record: RunRecord | undefined =
    options.run === undefined ? undefined : await findRecord(options.run, options);
  const seen = record && readTraffic(record);
  const rate = options.rate === undefined ? seen?.rate : number(options.rate, "--rate", 100_000);
  const base = options.base === undefined ? seen?.base : number(options.base, "--base", 100) / 100;
  if (rate === undefined || base === undefined)
    throw new UsageError(
      "say how much traffic there is: --rate and --base, or --run for what a recorded run saw",
    );
  if (rate <= 0) throw new UsageError("there is nothing to simulate without requests: --rate is 0");
  return { rate, base };
}

function number(text: string, name: string, most: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= most))
    throw new UsageError(`${name} is \`${text}\`, must be a number from 0 to ${most}`);
  return value;
}

function whole(text: string, name: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UsageError(`${name} is \`${text}\`, must be a whole number from 1 to ${most}`);
  return value;
}

/** JSON knows no infinity: what was not reached is left out. */
function finite({ world, faulty, outcomes }: Forecast): unknown {
  const known = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined);
  return {
    world,
    faulty,
    outcomes: outcomes.map(({ delay, promotedAfter, ...outcome }) => ({
      ...outcome,
      ...(faulty
        ? { delay: { p5: known(delay.p5), p50: known(delay.p50), p95: known(delay.p95) } }
        : { harmed: undefined }),
      promotedAfter: known(promotedAfter),
    })),
  };
}

function tables(forecasts: readonly Forecast[]): string {
  const healthy = forecasts.filter(({ faulty }) => !faulty);
  const faulty = forecasts.filter((one) => one.faulty);
  const axis = `${"1s".padEnd(9)}${"10s".padEnd(7)}${"1m".padEnd(9)}${"10m".padEnd(7)}${"1h".padEnd(6)}4h`;
  return [
    formatTable(
      ["A GOOD CANARY, WHERE", "RULE", "ROLLED BACK", "AT MOST", "PROMOTED AFTER"],
      rowsOf(healthy, ({ rolledBack, rolledBackAtMost, promotedAfter }) => [
        paint(rolledBack > 0.01 ? "red" : "green", percent(rolledBack)),
        percent(rolledBackAtMost),
        spanText(promotedAfter),
      ]),
    ),
    formatTable(
      ["A BAD CANARY", "RULE", "FOUND", "AFTER", "95 %", "HARMED", axis],
      rowsOf(faulty, (outcome, index) => [
        paint(outcome.rolledBack < 0.95 ? "red" : "green", percent(outcome.rolledBack)),
        spanText(outcome.delay.p50),
        spanText(outcome.delay.p95),
        String(Math.round(outcome.harmed)),
        paint(index === 0 ? "yellow" : "cyan", bar(outcome)),
      ]),
    ),
  ].join("\n\n");
}

function rowsOf(
  forecasts: readonly Forecast[],
  cells: (outcome: Outcome, index: number) => readonly string[],
): string[][] {
  return forecasts.flatMap(({ world, outcomes }) =>
    outcomes.map((outcome, index) => [index === 0 ? world : "", outcome.rule, ...cells(outcome, index)]),
  );
}

/** From the 5th to the 95th percentile, the median marked, on a logarithmic axis. */
function bar({ delay }: Outcome): string {
  const columns = 39;
  const column = (seconds: number): number => Math.round(placeOf(seconds) * (columns - 1));
  if (!Number.isFinite(delay.p5)) return "never";
  const [from, middle, to] = [column(delay.p5), column(delay.p50), column(delay.p95)];
  const marks = Array.from({ length: columns }, (_, at) => {
    if (at === middle && Number.isFinite(delay.p50)) return "●";
    return at >= from && at <= to ? "━" : " ";
  });
  return marks.join("").trimEnd();
}

const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`;
const round = (value: number): number => Number(value.toPrecision(3));
