import type { Command } from "commander";
import { explain } from "../canary/explain.ts";
import { findCanary } from "../canary/find.ts";
import { addClusterOptions, type ClusterOptions, withCluster } from "../cluster.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";

interface WhyOptions extends ClusterOptions {
  readonly output: Format;
}

/** Adds `fairlead why`. */
export function addWhy(program: Command): void {
  const command = program
    .command("why")
    .description("say in a few lines why a canary is where it is")
    .argument("<name>", "the canary");
  addOutputOption(addClusterOptions(command))
    .addHelpText("after", "\nExample:\n  fairlead why shop -n demo")
    .action((name: string, options: WhyOptions) =>
      withCluster(options, async (cluster) => {
        const canary = await findCanary(cluster, name);
        const [answer = "", ...evidence] = explain(canary, Date.now());
        const { phase, canaryWeight, failure, checks, analysis } = canary.status ?? {};
        if (options.output !== "table")
          await printData(
            { name, answer, evidence, phase, canaryWeight, failure, checks, analysis },
            options.output,
          );
        else process.stdout.write(`${[answer, ...evidence.map((line) => `  ${line}`)].join("\n")}\n`);
      }),
    );
}
