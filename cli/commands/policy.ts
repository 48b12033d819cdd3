import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { createLogger } from "../../lib/log.ts";
import type { CaseResult } from "../../policy/cases/answer.ts";
import { type Case, readCases } from "../../policy/cases/read.ts";
import type { Form } from "../../policy/envoy/filters.ts";
import { hasOwnNetwork, runInOwnNetwork } from "../../policy/harness/network.ts";
import { describeFileError, UsageError } from "../failure.ts";
import { paint } from "../output/colour.ts";
import { runCases } from "../policy/run-cases.ts";

interface TestOptions {
  readonly file: readonly string[];
  readonly engine: "evaluator" | "envoy" | "both";
  readonly form: Form;
  readonly output: "text" | "json";
}

/** Adds `fairlead policy`. */
export function addPolicy(program: Command): void {
  const policy = program.command("policy").description("test policies without a cluster");
  policy
    .command("test")
    .description("run cases: which policies are in force, what is asked, what must come of it")
    .requiredOption("-f, --file <file...>", "case files (YAML, a document a case)")
    .addOption(
      new Option("--engine <engine>", "who decides: our evaluator, a real Envoy, or both")
        .choices(["evaluator", "envoy", "both"])
        .default("evaluator"),
    )
    .addOption(
      new Option("--form <form>", "how rules are laid out for Envoy")
        .choices(["list", "tree"])
        .default("list"),
    )
    .addOption(new Option("-o, --output <format>", "format").choices(["text", "json"]).default("text"))
    .addHelpText(
      "after",
      "\nExit code 1 where a case fails. The engine `envoy` runs in a network of its own (root, or user namespaces).",
    )
    .action(async (options: TestOptions) => {
      if (options.engine !== "evaluator" && !hasOwnNetwork()) {
        process.exitCode = runInOwnNetwork(process.argv.slice(1));
        return;
      }
      const cases = options.file.flatMap(readFile);
      const results = await runEngines(cases, options);
      for (const result of results)
        process.stdout.write(`${options.output === "json" ? JSON.stringify(result) : word(result)}\n`);
      const wrong = results.filter(({ pass }) => !pass).length;
      process.stderr.write(`${results.length - wrong} passed, ${wrong} failed\n`);
      if (wrong > 0) process.exitCode = 1;
    });
}

function readFile(file: string): Case[] {
  try {
    return readCases(readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${describeFileError(error)}`);
  }
}

async function runEngines(
  cases: readonly Case[],
  { engine, form }: TestOptions,
): Promise<readonly CaseResult[]> {
  const options = { logger: createLogger("warn"), form };
  if (engine !== "both") return runCases(cases, engine, options);
  const ours = await runCases(cases, "evaluator", options);
  const theirs = await runCases(cases, "envoy", options);
  return ours.map((result, index) => {
    const other = theirs[index];
    const diff = [
      ...result.diff.map((text) => `evaluator: ${text}`),
      ...(other?.diff ?? []).map((text) => `envoy: ${text}`),
    ];
    return { ...result, pass: diff.length === 0, diff };
  });
}

function word({ name, pass, diff }: CaseResult): string {
  const mark = pass ? paint("green", "ok  ") : paint("red", "FAIL");
  return [`${mark} ${name}`, ...diff.map((text) => `       ${text}`)].join("\n");
}
