/**
 * Makes `dist/`, what `npm pack` ships: JavaScript and `.d.ts` of the rooms, since Node strips no types below
 * node_modules. Run by npm as `prepack`.
 */
import { spawnSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const out = join(root, "dist");

/** What is JavaScript or data already, beside what the compiler writes. */
const rooms = "{lib,envoy,api,kube,policy,analysis,controller,mesh,webhooks,local,dashboard,cli}";
const copied = [`${rooms}/**/*.{js,json,html,css,svg}`, `${rooms}/**/generated/**/*.d.ts`];
const testOnly = /(^|\/)testdata\//;

rmSync(out, { recursive: true, force: true });
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
if (status !== 0) process.exit(1);
for (const path of globSync(copied, { cwd: root })) {
  // The programs' own files stay where `bin` names them, in a checkout and in the package alike.
  if (testOnly.test(path) || path.startsWith("cli/bin/")) continue;
  mkdirSync(dirname(join(out, path)), { recursive: true });
  cpSync(join(root, path), join(out, path));
}
