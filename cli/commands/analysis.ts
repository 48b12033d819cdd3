import type { Command } from "commander";
import { addReplay } from "../analysis/replay.ts";
import { addReport } from "../analysis/report.ts";
import { addRuns } from "../analysis/runs.ts";
import { addSimulate } from "../analysis/simulate.ts";

/** Adds `fairlead analysis`. */
export function addAnalysis(program: Command): void {
  const analysis = program
    .command("analysis")
    .description("judge recorded runs again, show them, and see what to expect of an analysis");
  addReplay(analysis);
  addSimulate(analysis);
  addReport(analysis);
  addRuns(analysis);
}
