/** `npm run -s bench -- NAME [--json] [--explain]`: runs one benchmark, with a table for people or one JSON line. */
import { existsSync, readdirSync } from "node:fs";
import type { Benchmark } from "./benchmark.ts";

const [name = "", ...rest] = process.argv.slice(2);
const json = rest.includes("--json");
const names = readdirSync(import.meta.dirname).filter((folder) =>
  existsSync(`${import.meta.dirname}/${folder}/bench.ts`),
);
const usage = "usage: npm run -s bench -- NAME [--json] [--explain]";

async function load(folder: string): Promise<Benchmark> {
  const { benchmark } = (await import(`./${folder}/bench.ts`)) as { benchmark: Benchmark };
  return benchmark;
}

if (name === "") {
  const lines = await Promise.all(
    names.map(
      async (folder) => `  ${folder.padEnd(14)} ${(await load(folder)).explain.trim().split("\n")[0]}`,
    ),
  );
  process.stdout.write(`${[usage, "", ...lines].join("\n")}\n`);
  process.exit(0);
}
if (!names.includes(name)) {
  process.stderr.write(`there is no benchmark \`${name}\`; ${usage}\nbenchmarks: ${names.join(", ")}\n`);
  process.exit(2);
}
const benchmark = await load(name);
if (rest.includes("--explain")) {
  process.stdout.write(`${benchmark.explain.trim()}\n`);
  process.exit(0);
}
const { figures, text, failed } = await benchmark.run({
  args: rest.filter((argument) => argument !== "--json"),
  say: (line) => {
    if (!json) process.stderr.write(`${line}\n`);
  },
});
process.stdout.write(json ? `${JSON.stringify(figures)}\n` : `${text}\n`);
if (failed !== undefined) process.stderr.write(`${failed}\n`);
process.exit(failed === undefined ? 0 : 1);
