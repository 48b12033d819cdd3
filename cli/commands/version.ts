import type { Command } from "commander";
import { addClusterOptions, type ClusterOptions, withCluster } from "../cluster.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { version } from "../version.ts";

interface VersionOptions extends ClusterOptions {
  readonly output: Format;
  readonly client?: boolean;
}

/** Adds `fairlead version`. */
export function addVersion(program: Command): void {
  const command = program
    .command("version")
    .description("print the versions of fairlead, Node and the API server")
    .option("--client", "do not ask the API server");
  addOutputOption(addClusterOptions(command)).action(async (options: VersionOptions) => {
    const kubernetes = options.client ? undefined : await serverVersion(options);
    const versions = {
      fairlead: version,
      node: process.versions.node,
      ...(kubernetes !== undefined && { kubernetes }),
    };
    if (options.output !== "table") await printData(versions, options.output);
    else
      process.stdout.write(
        Object.entries(versions)
          .map(([name, value]) => `${name} ${value}\n`)
          .join(""),
      );
  });
}

/** undefined where no server can be asked: the other versions are worth printing all the same. */
async function serverVersion(options: ClusterOptions): Promise<string | undefined> {
  try {
    return await withCluster(options, async ({ client }) => {
      const { gitVersion } = await client.request<{ readonly gitVersion?: string }>("GET", "/version");
      return gitVersion;
    });
  } catch (error) {
    process.stderr.write(`no API server: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}
