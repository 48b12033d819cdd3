import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { RecordError, readRecord } from "../../analysis/record/format.ts";
import { buildReport } from "../../analysis/report/page.ts";
import { UsageError } from "../failure.ts";
import { addRecordOptions, findRecord, type RecordOptions, readText } from "./files.ts";

interface ReportOptions extends RecordOptions {
  readonly file?: string;
  readonly output?: string;
}

/** Adds `fairlead analysis report`. */
export function addReport(analysis: Command): void {
  const command = analysis
    .command("report")
    .description(
      "write one HTML page about a recorded run that stands alone: rates, latencies, weights, evidence",
    )
    .argument("[run]", "a recorded run by its id, or a canary: its last run")
    .option("-f, --file <record>", "a recorded run by its file")
    .option("-o, --output <file>", "where the page is written, `-` for stdout; default: <canary>-<run>.html");
  addRecordOptions(command)
    .addHelpText("after", "\nExample:\n  fairlead analysis report shop -n demo")
    .action(async (run: string | undefined, options: ReportOptions) => {
      const { file, output } = options;
      if ((file === undefined) === (run === undefined))
        throw new UsageError("give a run (`fairlead analysis runs` lists them) or a record by -f");
      try {
        const record = run === undefined ? readRecord(readText(file ?? "")) : await findRecord(run, options);
        const page = buildReport(record);
        const path = output ?? `${record.head.canary}-${record.head.run}.html`;
        if (path === "-") process.stdout.write(page);
        else {
          writeFileSync(path, page);
          process.stdout.write(`wrote ${path}\n`);
        }
      } catch (error) {
        if (error instanceof RecordError)
          throw new UsageError(`cannot report ${run ?? file}: ${error.message}`);
        throw error;
      }
    });
}
