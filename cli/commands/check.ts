import { resolve } from "node:path";
import type { Command } from "commander";
import { paint } from "../output/colour.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { defaultDataDir } from "../up/state.ts";

interface CheckOptions {
  readonly data: string;
  readonly output: Format;
}

/** Adds `fairlead check`: exit code 1 where something is missing. */
export function addCheck(program: Command): void {
  const command = program
    .command("check")
    .description("see whether this machine has what fairlead needs")
    .option("--data <folder>", "where the state is kept", defaultDataDir);
  addOutputOption(command).action(async ({ data, output }: CheckOptions) => {
    const { runChecks } = await import("../check/checks.ts");
    const findings = await runChecks(resolve(data));
    const ok = findings.every((finding) => finding.ok);
    if (output !== "table") await printData({ ok, findings }, output);
    else {
      for (const { name, ok, text } of findings) {
        process.stdout.write(`${ok ? paint("green", "✓") : paint("red", "✗")} ${name.padEnd(10)} ${text}\n`);
      }
    }
    if (!ok) process.exitCode = 1;
  });
}
