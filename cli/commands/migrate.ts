import type { Command } from "commander";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { formatTable } from "../output/table.ts";

interface MigrateOptions extends ClusterOptions {
  readonly stop?: boolean;
  readonly output: Format;
}

/** Adds `fairlead migrate`. */
export function addMigrate(program: Command): void {
  const migrate = program.command("migrate").description("take over what another controller drives");
  const command = migrate
    .command("flagger")
    .description(
      "say what happens to each Canary when fairlead takes it over from Flagger, and stop Flagger for it",
    )
    .option("--stop", "scale Flagger to 0, where no release is under way");
  addOutputOption(addClusterOptions(command))
    .addHelpText(
      "after",
      `
While a Flagger runs, fairlead's controller leaves the Canaries that it drives alone. Without --stop nothing is changed.
Stopped, Flagger's objects stay as they are: fairlead's controller goes on with them, without a rollout where target and
primary are equal. To go back, scale fairlead's controller to 0 and Flagger up again.

Exit codes:
  0  Flagger does not run any more, or never did
  1  Flagger runs: say --stop, or wait for the releases that are named

Example:
  fairlead migrate flagger && fairlead migrate flagger --stop`,
    )
    .action((options: MigrateOptions) => withCluster(options, (cluster) => migrateFlagger(cluster, options)));
}

async function migrateFlagger(cluster: Cluster, { stop = false, output }: MigrateOptions): Promise<void> {
  const { readMigration, stopFlagger } = await import("../migrate/flagger.ts");
  const migration = await readMigration(cluster.client);
  const { flaggers, canaries } = migration;
  const busy = canaries.filter(({ kind }) => kind === "under-way");
  const mayStop = flaggers.length > 0 && stop && busy.length === 0;
  if (mayStop) for (const flagger of flaggers) await stopFlagger(cluster.client, flagger);
  const runs = flaggers.length > 0 && !mayStop;
  process.exitCode = runs ? 1 : 0;
  if (output !== "table") {
    const found = flaggers.map(({ deployment, scope, flags }) => ({
      deployment,
      ...(scope !== undefined && { namespace: scope }),
      flags: Object.fromEntries(flags),
    }));
    await printData({ flaggers: found, stopped: mayStop, canaries }, output);
    return;
  }
  const lines = [
    ...flaggers.map(
      ({ deployment, scope }) =>
        `Flagger ${mayStop ? "ran" : "runs"} as deployment ${deployment}, for ${scope === undefined ? "all namespaces" : `namespace ${scope}`}`,
    ),
    ...(flaggers.length === 0 ? ["no Flagger runs"] : []),
    ...migration.settings.map((line) => `  its setting ${line}`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (canaries.length > 0) {
    const rows = canaries.map(({ namespace, name, phase, kind, message }) => [
      namespace,
      name,
      phase,
      kind,
      message,
    ]);
    process.stdout.write(`\n${formatTable(["NAMESPACE", "CANARY", "PHASE", "BECOMES", "WHY"], rows)}\n`);
  }
  if (mayStop)
    process.stdout.write("\nFlagger is stopped: fairlead's controller drives these Canaries now\n");
  else if (runs && busy.length > 0 && stop)
    process.stderr.write(`\nnot stopped: ${busy.length} releases are under way, wait for their end\n`);
  else if (runs)
    process.stderr.write("\nFlagger runs, so fairlead leaves these Canaries alone; --stop takes them over\n");
}
