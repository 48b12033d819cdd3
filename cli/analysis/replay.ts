import { type Command, Option } from "commander";
import { isHead, RecordError, type RunRecord, readRecord } from "../../analysis/record/format.ts";
import { replayRule } from "../../analysis/record/replay.ts";
import { replayRun } from "../../analysis/record/replay-analysis.ts";
import { type RuleName, ruleNames } from "../../analysis/replay/create-rule.ts";
import { type ReplayResult, replay } from "../../analysis/replay/replay.ts";
import { readTrace, TraceError } from "../../analysis/replay/trace.ts";
import { UsageError } from "../failure.ts";
import { addRecordOptions, findRecord, type RecordOptions, readCanaryFile, readText } from "./files.ts";

interface ReplayOptions extends RecordOptions {
  readonly file?: string;
  readonly run?: string;
  readonly canary?: string;
  readonly rule?: RuleName;
  readonly output: "text" | "json";
}

/** Adds `fairlead analysis replay`. */
export function addReplay(analysis: Command): void {
  const command = analysis
    .command("replay")
    .description("judge a trace or a recorded run again: which verdict, when, at which weights")
    .option("-f, --file <file>", "a trace, or a recorded run (NDJSON, also gzipped)")
    .option("--run <run>", "a recorded run by its id, or a canary: its last run")
    .option(
      "--canary <file>",
      "manifest of the Canary whose analysis counts; default: for a trace Flagger's usual settings, for a run its own",
    )
    .addOption(
      new Option("--rule <rule>", "one rule alone; default: fairlead, for a run all of its analysis").choices(
        ruleNames,
      ),
    )
    .addOption(new Option("-o, --output <format>", "format").choices(["text", "json"]).default("text"));
  addRecordOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fairlead analysis replay --run shop\n  fairlead analysis replay --run shop --rule flagger\n  fairlead analysis replay -f trace.ndjson --canary canary.yaml -o json",
    )
    .action(async (options: ReplayOptions) => {
      const result = await judge(options);
      process.stdout.write(
        `${options.output === "json" ? JSON.stringify(rounded(result)) : describe(result)}\n`,
      );
    });
}

async function judge(options: ReplayOptions): Promise<ReplayResult> {
  const { file, run, rule } = options;
  const canary = options.canary === undefined ? undefined : readCanaryFile(options.canary);
  if ((file === undefined) === (run === undefined))
    throw new UsageError("give a trace by -f or a run by --run");
  const again = (record: RunRecord): ReplayResult =>
    rule === undefined ? replayRun(record, canary) : replayRule(record, rule, canary);
  try {
    if (run !== undefined) return again(await findRecord(run, options));
    const text = readText(file ?? "");
    return isRecord(text) ? again(readRecord(text)) : replay(readTrace(text), rule ?? "fairlead", canary);
  } catch (error) {
    if (error instanceof TraceError || error instanceof RangeError || error instanceof RecordError)
      throw new UsageError(`cannot replay ${file ?? run}: ${error.message}`);
    throw error;
  }
}

function isRecord(text: string): boolean {
  try {
    return isHead(JSON.parse(text.slice(0, text.indexOf("\n"))));
  } catch {
    return false;
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
