import { type Command, Option } from "commander";

export type Format = "table" | "json" | "yaml";

/** Adds `-o table|json|yaml`. */
export function addOutputOption(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <format>", "how to print").choices(["table", "json", "yaml"]).default("table"),
  );
}

/** `-o text|json`, of commands that tell of this machine. */
export function textOrJson(description: string): Option {
  return new Option("-o, --output <form>", description).choices(["text", "json"]).default("text");
}

/** Prints data on stdout: one JSON document, or one YAML document that may follow others. */
export async function printData(value: unknown, format: Exclude<Format, "table">): Promise<void> {
  if (format === "json") {
    process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    return;
  }
  const { stringify } = await import("yaml");
  process.stdout.write(`---\n${stringify(value)}`);
}

/** Prints one element of a stream: a line of JSON, or a YAML document. */
export async function printElement(value: unknown, format: Exclude<Format, "table">): Promise<void> {
  if (format === "json") process.stdout.write(`${JSON.stringify(value)}\n`);
  else await printData(value, format);
}
