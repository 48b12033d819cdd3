import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type Command, Option } from "commander";
import { type ReplayResult, type RuleName, replay, ruleNames } from "../../analysis/replay/replay.ts";
import { readTrace, TraceError } from "../../analysis/replay/trace.ts";
import { readCanary } from "../../api/canary/read.ts";
import type { ReadCanary } from "../../api/canary/types.ts";
import { readManifests } from "../../api/manifest.ts";
import { describeProblem } from "../../api/read.ts";
import { UsageError } from "../failure.ts";

interface ReplayOptions {
  readonly file: string;
  readonly canary?: string;
  readonly rule: RuleName;
  readonly output: "text" | "json";
}

/** Adds `fairlead analysis`. */
export function addAnalysis(program: Command): void {
  const analysis = program
    .command("analysis")
    .description("judge recorded traces as a canary would be judged");
  analysis
    .command("replay")
    .description("replay a trace: which verdict, when, at which weights")
    .requiredOption("-f, --file <trace>", "trace to judge (NDJSON, also gzipped)")
    .option(
      "--canary <file>",
      "manifest of the Canary whose analysis counts; default: Flagger's usual settings",
    )
    .addOption(new Option("--rule <rule>", "rule to judge by").choices(ruleNames).default("fairlead"))
    .addOption(new Option("-o, --output <format>", "format").choices(["text", "json"]).default("text"))
    .action((options: ReplayOptions) => {
      const canary = options.canary === undefined ? undefined : readCanaryFile(options.canary);
      const result = judgeTrace(options, canary);
      process.stdout.write(
        `${options.output === "json" ? JSON.stringify(rounded(result)) : describe(result)}\n`,
      );
    });
}

function judgeTrace({ file, rule }: ReplayOptions, canary: ReadCanary | undefined): ReplayResult {
  try {
    return replay(readTrace(readText(file)), rule, canary);
  } catch (error) {
    if (error instanceof TraceError || error instanceof RangeError) {
      throw new UsageError(`cannot replay ${file}: ${error.message}`);
    }
    throw error;
  }
}

function readCanaryFile(file: string): ReadCanary {
  const { objects } = readManifests(readText(file), file);
  const found = objects.find(({ object }) => object.kind === "Canary");
  if (found === undefined) throw new UsageError(`${file} holds no Canary`);
  const { value, problems } = readCanary(found.object);
  if (value === undefined) throw new UsageError(`${file}: ${problems.map(describeProblem).join("; ")}`);
  return value;
}

function readText(file: string): string {
  try {
    const bytes = readFileSync(file);
    const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return (gzipped ? gunzipSync(bytes) : bytes).toString("utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Evidence to nine places: far finer than what two implementations may differ by. */
function rounded(result: ReplayResult): ReplayResult {
  return { ...result, logE: result.logE === null ? null : Number(result.logE.toFixed(9)) };
}

function describe({ verdict, t, logE, weights }: ReplayResult): string {
  const evidence = logE === null ? "" : `, evidence of harm ${logE.toFixed(2)} nats`;
  return `${verdict} at ${t} s${evidence}; weights ${weights.map(([at, weight]) => `${weight} % at ${at} s`).join(", ")}`;
}
