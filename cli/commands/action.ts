import { userInfo } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../../lib/units.ts";
import { act } from "../canary/act.ts";
import { phaseOf } from "../canary/row.ts";
import { addClusterOptions, type ClusterOptions, withCluster } from "../cluster.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";

interface ActionOptions extends ClusterOptions {
  readonly reason?: string;
  readonly by: string;
  readonly revision?: string;
  readonly timeout: number;
  readonly output: Format;
}

type Verb = "promote" | "abort" | "pause" | "resume" | "retry" | "skip" | "set-weight";

const details: Readonly<Record<Verb, string>> = {
  promote: "Ends the analysis: the primary is rolled to the canary's revision now.",
  abort:
    "Ends the run: the canary's weight is 0 at once, its pods go; during a promotion the primary gets its former template back.",
  pause: "Holds the weight where it is until `resume`. The guard goes on: a bad canary is still taken back.",
  resume: "Ends what `pause` began.",
  retry: "Analyses a revision that was rolled back once more.",
  skip: "Takes the next step now, or opens the closed gate, without waiting for checks and gates; after the last step it promotes.",
  "set-weight": "Moves the canary to this weight; the analysis goes on from there, an interval later.",
};

/** Adds one of the commands that tell a canary's controller what to do. */
export function addAction(verb: Verb): (program: Command) => void {
  return (program) => {
    const command = program.command(verb).description(details[verb]).argument("<name>", "the canary");
    if (verb === "set-weight") command.argument("<percent>", "1 to 100", readWeight);
    command
      .option("--reason <text>", "why; kept in the canary's events")
      .option("--by <name>", "who; default is the user of this machine", userInfo().username)
      .option("--revision <id>", "only if the canary is at this revision; default the one its status shows")
      .addOption(
        new Option("--timeout <duration>", "how long to wait for the controller's answer; `0s`: not at all")
          .argParser(readTimeout)
          .default(30_000, "30s"),
      );
    addOutputOption(addClusterOptions(command))
      .addHelpText(
        "after",
        `
Exit codes:
  0  done
  1  refused, with the reason, or not taken in time

Example:
  fairlead ${verb} shop${verb === "set-weight" ? " 30" : ""} -n demo --reason "seen on the dashboard"`,
      )
      .action((name: string, ...rest: unknown[]) => {
        const weight = verb === "set-weight" ? `=${String(rest[0])}` : "";
        // Commander gives the arguments, then the options, then itself.
        const options = rest.at(-2) as ActionOptions;
        return ask(name, `${verb}${weight}`, options);
      });
  };
}

async function ask(name: string, action: string, options: ActionOptions): Promise<void> {
  const { by, reason, revision, timeout, output } = options;
  await withCluster(options, async (cluster) => {
    const { outcome, message, canary } = await act(cluster, name, {
      ...{ action, by, timeout },
      ...(reason !== undefined && { reason }),
      ...(revision !== undefined && { revision }),
    });
    const { status } = canary;
    if (output !== "table") {
      const { namespace } = canary.metadata;
      const { phase, canaryWeight } = status ?? {};
      await printData({ canary: name, namespace, action, outcome, message, phase, canaryWeight }, output);
    } else if (outcome === "done") {
      process.stdout.write(`${message}\n${name}: ${phaseOf(status)}, ${status?.canaryWeight ?? 0} %\n`);
    } else process.stderr.write(`${outcome === "refused" ? "refused" : "asked"}: ${message}\n`);
    process.exitCode = outcome === "done" || (outcome === "asked" && timeout === 0) ? 0 : 1;
  });
}

function readWeight(text: string): number {
  const weight = Number(text.replace(/%$/, ""));
  if (!Number.isInteger(weight) || weight < 1 || weight > 100)
    throw new InvalidArgumentError(
      "say a whole number of percent from 1 to 100; `abort` takes the canary to 0.",
    );
  return weight;
}

function readTimeout(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined || milliseconds < 0)
    throw new InvalidArgumentError("say a duration such as `30s`, or `0s`.");
  return milliseconds;
}
