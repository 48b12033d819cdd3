/** `npm run -s bench -- NAME [--json] [--explain]`: runs one benchmark, with a table for people or one JSON line. */
import { existsSync, readdirSync } from "node:fs";
import type { Benchmark } from "./benchmark.ts";

const [name = "", ...rest] = process.argv.slice(2);
const json = rest.includes("--json");
const names = readdirSync(import.meta.dirname).filter((folder) =>
  existsSync(`${import.meta.dirname}/${folder}/bench.ts`),
);

if (!names.includes(name)) {
  process.stderr.write(
    `usage: npm run -s bench -- NAME [--json] [--explain]\nbenchmarks: ${names.join(", ")}\n`,
  );
  process.exit(2);
}
const { benchmark } = (await import(`./${name}/bench.ts`)) as { benchmark: Benchmark };
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
