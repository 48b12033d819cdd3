/** `npm run -s soak -- NAME [options] [--explain]`: runs one soak; the last line is `N passed, N failed`. */
import { existsSync, readdirSync } from "node:fs";
import type { Soak } from "./soak.ts";

const [name = "", ...args] = process.argv.slice(2);
const names = readdirSync(import.meta.dirname).filter((folder) =>
  existsSync(`${import.meta.dirname}/${folder}/soak.ts`),
);

if (!names.includes(name)) {
  process.stderr.write(`usage: npm run -s soak -- NAME [options] [--explain]\nsoaks: ${names.join(", ")}\n`);
  process.exit(2);
}
const { soak } = (await import(`./${name}/soak.ts`)) as { soak: Soak };
if (args.includes("--explain")) {
  process.stdout.write(`${soak.explain.trim()}\n`);
  process.exit(0);
}
const { passed, failed } = await soak.run({ args, say: (line) => process.stdout.write(`${line}\n`) });
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
