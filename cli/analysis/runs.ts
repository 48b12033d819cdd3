import type { Command } from "commander";
import { shortDuration } from "../output/duration.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { formatTable } from "../output/table.ts";
import { addRecordOptions, findRecords, type RecordOptions } from "./files.ts";

/** Adds `fairlead analysis runs`. */
export function addRuns(analysis: Command): void {
  const command = analysis
    .command("runs")
    .description("list the recorded runs, the newest first")
    .argument("[canary]", "of this canary only");
  addOutputOption(addRecordOptions(command)).action(
    async (canary: string | undefined, options: RecordOptions & { readonly output: Format }) => {
      const all = await findRecords(options);
      const found = all.filter((record) => canary === undefined || record.canary === canary);
      if (options.output !== "table")
        return printData(
          found.map(({ namespace, canary: of, run, path, size, at }) => ({
            namespace,
            canary: of,
            run,
            path,
            size,
            at,
          })),
          options.output,
        );
      const rows = found.map(({ namespace, canary: name, run, size, at }) => [
        namespace,
        name,
        run,
        `${shortDuration(Date.now() - at)} ago`,
        `${Math.ceil(size / 1024)} KiB`,
      ]);
      process.stdout.write(
        rows.length === 0
          ? "no run is recorded\n"
          : `${formatTable(["NAMESPACE", "CANARY", "RUN", "WRITTEN", "SIZE"], rows)}\n`,
      );
    },
  );
}
