import type { Command } from "commander";
import { findCanary, requireCanary } from "../canary/find.ts";
import { addClusterOptions, type ClusterOptions, withCluster } from "../cluster.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";

interface DescribeOptions extends ClusterOptions {
  readonly output: Format;
}

/** Adds `fairlead describe`. */
export function addDescribe(program: Command): void {
  const command = program
    .command("describe")
    .description("show a canary: phase, weights, checks, conditions, events")
    .argument("<kind>", "`canary`")
    .argument("<name>");
  addOutputOption(addClusterOptions(command))
    .addHelpText("after", "\nExample:\n  fairlead describe canary shop -n demo")
    .action((kind: string, name: string, options: DescribeOptions) => {
      requireCanary(kind);
      return withCluster(options, async (cluster) => {
        const [{ describeCanary }, { eventsOf }] = await Promise.all([
          import("../canary/description.ts"),
          import("../event/list.ts"),
        ]);
        const canary = await findCanary(cluster, name);
        const events = await eventsOf(cluster.client, canary);
        if (options.output === "table")
          process.stdout.write(`${describeCanary(canary, events, Date.now())}\n`);
        else await printData({ canary, events }, options.output);
      });
    });
}
