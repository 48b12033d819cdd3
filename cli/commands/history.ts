import type { Command } from "commander";
import { historyRows } from "../canary/description.ts";
import { findCanary } from "../canary/find.ts";
import { addClusterOptions, type ClusterOptions, withCluster } from "../cluster.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { formatTable } from "../output/table.ts";

interface HistoryOptions extends ClusterOptions {
  readonly output: Format;
}

/** Adds `fairlead history`. */
export function addHistory(program: Command): void {
  const command = program
    .command("history")
    .description("list the last runs of a canary, the newest first")
    .argument("<name>", "the canary");
  addOutputOption(addClusterOptions(command))
    .addHelpText("after", "\nExamples:\n  fairlead history shop -n demo\n  fairlead history shop -o json")
    .action((name: string, options: HistoryOptions) =>
      withCluster(options, async (cluster) => {
        const canary = await findCanary(cluster, name);
        const runs = canary.status?.history ?? [];
        const [headers = [], ...rows] = historyRows(canary, Date.now());
        if (options.output !== "table") await printData({ canary: name, runs }, options.output);
        else if (rows.length === 0) process.stderr.write(`${name} has not been released yet\n`);
        else process.stdout.write(`${formatTable(headers, rows)}\n`);
      }),
    );
}
