import { Command, CommanderError } from "commander";
import { describeFailure } from "./failure.ts";
import { commands } from "./registry.ts";
import { version } from "./version.ts";

/** Options of a cluster that kubectl also takes before the verb. Each has a value. */
const movable = ["-n", "--namespace", "--kubeconfig", "--context"];

/** The arguments with kubectl-style options from before the verb put behind it, where its command reads them. */
function verbFirst(given: readonly string[]): readonly string[] {
  const moved: string[] = [];
  const rest = [...given];
  for (let first = rest[0]; first !== undefined; first = rest[0]) {
    if (!movable.includes(first.split("=", 1)[0] ?? "")) break;
    moved.push(...rest.splice(0, first.includes("=") ? 1 : 2));
  }
  const [verb, ...behind] = rest;
  return verb === undefined ? moved : [verb, ...moved, ...behind];
}

/** The program with all commands known by name, and the one that is asked for in full. */
async function buildProgram(args: readonly string[]): Promise<Command> {
  const [first, second] = args.filter((arg) => !arg.startsWith("-"));
  const wanted = first === "help" ? second : first;
  const program = new Command("fairlead")
    .description("Releases software step by step on stock Envoy, and takes a bad version back by itself.")
    .usage("COMMAND [options]")
    .version(version, "-V, --version", "print fairlead's version")
    .option("--verbose", "print stack traces of errors")
    .helpOption("-h, --help", "show help")
    .showSuggestionAfterError()
    .configureOutput({ outputError: (words, write) => write(oneLine(words, wanted)) })
    .configureHelp({ subcommandTerm: (command) => command.name() })
    // Before the commands are added: they inherit it.
    .exitOverride();
  for (const { name, group, summary, load } of commands) {
    program.commandsGroup(group);
    if (name === wanted) (await load())(program);
    else program.command(name).description(summary);
  }
  program.addHelpCommand(new Command("help").argument("[command]").description("show help for a command"));
  return program.addHelpText("after", examples);
}

/** Commander puts its suggestion below the error, and of what is missing it says nothing more. */
function oneLine(words: string, command: string | undefined): string {
  const help = /^error: (missing|required|too many)/.test(words)
    ? `; see \`fairlead ${command} --help\``
    : "";
  return `${words.trim().replace(/\s*\n/g, " ")}${help}\n`;
}

const examples = `
Examples:
  fairlead demo                           see it all in about a minute
  fairlead up                             start it on this machine
  fairlead apply -f canary.yaml           create a Canary
  fairlead get canaries -A -w             follow all releases
  fairlead wait canary shop -n demo       exit 0 promoted, 2 rolled back
  fairlead why shop -n demo               what holds it, what ended it`;

/**
 * Runs one command.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong use, or what the command set as `process.exitCode`
 */
export async function runProgram(given: readonly string[]): Promise<number> {
  const args = verbFirst(given);
  try {
    const program = await buildProgram(args);
    if (args.length === 0) program.help({ error: true });
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // Commander has said its own words by then; its code 0 is help or version.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { text, exitCode } = describeFailure(error, given.includes("--verbose"));
    process.stderr.write(`error: ${text}\n`);
    return exitCode;
  }
}
