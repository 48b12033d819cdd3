/**
 * The wide suites on one of two Kubernetes and one of two data paths:
 * `npm run e2e [-- --cluster local|real] [--network loopback|netns] [-t PATTERN] [FILES]`.
 *
 * Ends with `N passed, N failed, N skipped`. What can hold on one of the two only is skipped on the other, with its reason.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { buildHelm, buildParts, canBuild } from "../cluster/build.ts";

const root = join(import.meta.dirname, "..", "..");
const say = (line: string) => process.stdout.write(`${line}\n`);

/** As vitest's reporter `json` writes it, as far as it is read. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

const { values, positionals } = parseArgs({
  options: {
    cluster: { type: "string", default: "local" },
    network: { type: "string", default: process.env.FAIRLEAD_NETWORK || "loopback" },
    testNamePattern: { type: "string", short: "t" },
  },
  allowPositionals: true,
});
if (values.cluster !== "local" && values.cluster !== "real")
  fail(`--cluster \`${values.cluster}\`: say \`local\` or \`real\``);
if (values.network !== "loopback" && values.network !== "netns")
  fail(`--network \`${values.network}\`: say \`loopback\` or \`netns\``);
if (values.cluster === "real") await prepareReal();

const folder = mkdtempSync(join(tmpdir(), "fairlead-e2e-"));
const report = join(folder, "report.json");
const code = await runSuites();
const { passed, failed, skipped } = readCounts();
rmSync(folder, { recursive: true, force: true });
say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(code === 0 && failed === 0 ? 0 : 1);

/** Builds what is missing, saying so. */
async function prepareReal(): Promise<void> {
  if (process.getuid?.() !== 0)
    fail("--cluster real needs root: its pods get addresses of their own on the loopback interface");
  if (!(await canBuild())) fail("no kube-apiserver: its parts are not built, and Go is not installed");
  const began = performance.now();
  let built = false;
  const tell = (line: string): void => {
    if (!built) say("the real cluster is built once, which takes about 7 minutes on two cores");
    built = true;
    say(line);
  };
  await buildParts(tell);
  await buildHelm(tell);
  if (built) say(`built in ${((performance.now() - began) / 60_000).toFixed(1)} min`);
}

function runSuites(): Promise<number> {
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const names = values.testNamePattern === undefined ? [] : ["-t", values.testNamePattern];
  const words = [vitest, "run", "--config", "vitest.e2e.config.ts", ...reporters, ...names, ...positionals];
  const child = spawn(process.execPath, words, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, FAIRLEAD_E2E_CLUSTER: values.cluster, FAIRLEAD_NETWORK: values.network },
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.once("exit", (exit) => resolve(exit ?? 1)));
}

function readCounts(): { passed: number; failed: number; skipped: number } {
  let results: Report["testResults"];
  try {
    ({ testResults: results } = JSON.parse(readFileSync(report, "utf8")) as Report);
  } catch {
    // vitest said why on its way out.
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const all = results.flatMap(({ assertionResults }) => assertionResults);
  const count = (...states: readonly string[]) => all.filter(({ status }) => states.includes(status)).length;
  // A file that broke before or after its tests is a failure too.
  const broken = results.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((test) => test.status === "failed"),
  ).length;
  return {
    passed: count("passed"),
    failed: count("failed") + broken,
    skipped: count("skipped", "pending", "todo", "disabled"),
  };
}

function fail(words: string): never {
  process.stderr.write(`error: ${words}\n`);
  say("0 passed, 1 failed, 0 skipped");
  process.exit(1);
}
