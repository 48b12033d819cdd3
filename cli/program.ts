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
    .configureHelp({ subcommandTerm: (command) => command.name() })
    // Before the commands are added: they inherit it.
    .exitOverride();
  for (const { name, group, summary, load } of commands) {
    program.commandsGroup(group);
    if (name === wanted) (await load())(program);
    else program.command(name).description(summary);
  }
  sayErrorsInOneLine(program, "fairlead");
  program.addHelpCommand(new Command("help").argument("[command]").description("show help for a command"));
  return program.addHelpText("after", examples);
}

/** Of a command and those below it. @param path as it is typed, e.g. `fairlead mesh render` */
function sayErrorsInOneLine(command: Command, path: string): void {
  command.configureOutput({ outputError: (words, write) => write(oneLine(words, path)) });
  for (const below of command.commands) sayErrorsInOneLine(below, `${path} ${below.name()}`);
}

/** Commander puts its suggestion below the error, of what is missing it says nothing more, and has an argument's name last. */
function oneLine(words: string, path: string): string {
  const line = words
    .trim()
    .replace(/\s*\n/g, " ")
    .replace(
      /^error: command-argument value '(.*)' is invalid for argument '(.*?)'\./,
      "error: <$2> '$1' is invalid.",
    );
  const wantsHelp = /^error: (missing|required|too many)/.test(line);
  return wantsHelp ? `${line.replace(/\.$/, "")}; see \`${path} --help\`\n` : `${line}\n`;
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
