/** `fairlead demo` as a user runs it, and its figures computed once more from the load client's own record. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { namespace } from "../../cli/demo/manifests.ts";
import { apply, crashedPod } from "../../cli/demo/release.ts";
import { startWorld } from "../../cli/demo/world.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { processesNaming } from "../../local/testing/processes.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { describeProcesses } from "./support/processes.ts";
import { cluster } from "./support/world.ts";

interface Line {
  readonly start: number;
  readonly end: number;
  readonly status: number;
  readonly version: string | null;
}

/** What `--json` prints last. */
interface Summary {
  readonly event: "summary";
  readonly promotedSeconds: number;
  readonly faultToZeroWeightSeconds?: number;
  readonly faultAt: number;
  readonly requests: number;
  readonly failedBeforeFault: number;
  readonly canaryErrors: number;
  readonly failedAfterRollback: number;
  readonly denied: number;
  readonly allowed: number;
  readonly reason?: string;
  readonly record: string;
  readonly envoyVersion: string;
}

let started = 0;

/** What the demos leave on purpose: their records. */
const folders = new Set<string>();
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Starts the demo in a process group of its own, as a shell does. `marker` is in the environment of all that it starts. */
function startDemo(...options: string[]) {
  const marker = `demo-test-${process.pid}-${++started}`;
  const child = spawn(
    process.execPath,
    [programFile, "demo", "--yes", "--json", "--cluster", cluster, ...options],
    {
      env: { ...process.env, FAIRLEAD_TEST: marker },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    },
  );
  const lines: string[] = [];
  let rest = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return { child, marker, lines, errors: () => errors, ended: endOf(child) };
}

function endOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
}

/** Runs the demo to its end; its summary and its record. */
async function runDemo(...options: string[]): Promise<{ summary: Summary; lines: Line[] }> {
  const demo = startDemo(...options);
  const { code } = await demo.ended;
  expect(code, `${demo.errors()}\n${demo.lines.slice(-5).join("\n")}`).toBe(0);
  const summary = JSON.parse(demo.lines.at(-1) ?? "") as Summary;
  expect(summary.event).toBe("summary");
  folders.add(dirname(summary.record));
  const lines = readFileSync(summary.record, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  expect(summary.requests).toBe(lines.length);
  expect(summary).toMatchObject({ denied: 403, allowed: 200 });
  expect(summary.promotedSeconds).toBeGreaterThan(0);
  expect(summary.envoyVersion).toMatch(/^\d+\.\d+\.\d+$/);
  expect(describeProcesses(dirname(summary.record))).toEqual([]);
  return { summary, lines };
}

const failedOf = (lines: readonly Line[]) => lines.filter(({ status }) => status < 200 || status >= 400);
const shareOf = (lines: readonly Line[], version: string) =>
  lines.filter((line) => line.version === version).length / lines.length;

describe.skipIf(envoyMissing !== undefined)(`the demo${envoyMissing ? ` (${envoyMissing})` : ""}`, () => {
  test("promotes version 2, takes version 3 back within a second, and its record says so", async () => {
    const { summary, lines } = await runDemo();
    expect(lines.length).toBeGreaterThanOrEqual(10_000);
    const { faultAt } = summary;
    const failed = failedOf(lines);
    const first = Math.min(...failed.filter(({ end }) => end >= faultAt).map(({ end }) => end));
    const last = Math.max(...lines.filter(({ version }) => version === "3").map(({ end }) => end));
    const seconds = (last - first) / 1000;
    console.info(
      `fault to weight 0: ${seconds.toFixed(3)} s, ${failed.length} of ${lines.length} requests failed`,
    );
    expect(summary.faultToZeroWeightSeconds).toBeCloseTo(seconds, 3);
    expect(seconds).toBeLessThanOrEqual(1);
    expect(failed.filter(({ end, version }) => end < faultAt || version === "1" || version === "2")).toEqual(
      [],
    );
    expect(failed.filter(({ start }) => start > last)).toEqual([]);
    expect(summary).toMatchObject({ failedBeforeFault: 0, failedAfterRollback: 0 });
    expect(summary.canaryErrors).toBe(failed.filter(({ version }) => version === "3").length);
    expect(summary.canaryErrors).toBeGreaterThan(0);
    // Version 2 had taken over: nothing of version 1 is left when version 3 breaks.
    expect(
      shareOf(
        lines.filter(({ start }) => start > faultAt),
        "1",
      ),
    ).toBe(0);
    expect(
      shareOf(
        lines.filter(({ start }) => start > last),
        "2",
      ),
    ).toBe(1);
    expect(summary.reason).toMatch(/attempts/);
  });

  test.concurrent("promotes version 3 too where it has no fault", async () => {
    const { summary, lines } = await runDemo("--fault", "none");
    expect(failedOf(lines)).toEqual([]);
    expect(summary.faultAt).toBe(0);
    expect(shareOf(lines.slice(-200), "3")).toBe(1);
  });

  test.concurrent("takes a version back that fails three in ten", async () => {
    const { summary, lines } = await runDemo("--fault", "30%");
    const { faultAt } = summary;
    const last = Math.max(...lines.filter(({ version }) => version === "3").map(({ end }) => end));
    const broken = lines.filter(({ version, start }) => version === "3" && start > faultAt);
    console.info(
      `30 %: ${((last - faultAt) / 1000).toFixed(2)} s to weight 0, ${failedOf(broken).length} of ${broken.length} answers of version 3 failed; ${summary.reason}`,
    );
    expect(failedOf(broken).length / broken.length).toBeLessThan(0.6);
    expect(failedOf(lines).filter(({ version }) => version !== "3")).toEqual([]);
    expect(shareOf(lines.slice(-200), "2")).toBe(1);
  });
});

test.skipIf(envoyMissing !== undefined)(
  "a pod that does not stay up is told, with the words of its log",
  async () => {
    const world = await startWorld({ yes: true });
    try {
      const command = ["sh", "-c", "echo starting; echo 'Error: no such module' >&2; exit 1"];
      const spec = { containers: [{ name: "main", image: "process://sh", command }] };
      const metadata = { name: "shop-1", namespace };
      await apply(world.client, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
      await apply(world.client, { apiVersion: "v1", kind: "Pod", metadata, spec });
      expect(await crashedPod(world.client)).toBeUndefined();
      await until("it is told", async () => (await crashedPod(world.client)) !== undefined, 50_000);
      const words = "container main of pod shop-1 ended 3 times: Error: no such module";
      expect(await crashedPod(world.client)).toBe(words);
    } finally {
      await world.stop();
      rmSync(world.folder, { recursive: true, force: true });
    }
  },
);

describe.skipIf(envoyMissing !== undefined)("who leaves the demo early", () => {
  const says = (demo: ReturnType<typeof startDemo>, words: RegExp) => () => {
    if (demo.child.exitCode !== null) throw new Error(`the demo ended: ${demo.errors()}`);
    return demo.lines.some((line) => words.test(line));
  };

  /** The folder of a demo's control plane, where it has been started. */
  const folderOf = ({ marker }: ReturnType<typeof startDemo>): string | undefined =>
    describeProcesses(marker)
      .map((line) => /(\/\S*fairlead-demo-[^/ ]+)\//.exec(line)?.[1])
      .find((folder) => folder !== undefined);

  async function nothingLeft(demo: ReturnType<typeof startDemo>, folder: string | undefined): Promise<void> {
    expect(describeProcesses(demo.marker)).toEqual([]);
    if (folder === undefined) return;
    folders.add(folder);
    // What was killed may still be in the process table for a moment.
    await until("no process is left", () => processesNaming(folder).length === 0, 2_000).catch(() =>
      expect(describeProcesses(folder)).toEqual([]),
    );
    // What users keep is the record; a folder without one is litter.
    if (existsSync(folder)) expect(readdirSync(folder)).toContain("requests.ndjson");
  }

  test.for([
    ["while it starts", /starting/],
    ["while version 1 is being deployed", /serving on/],
    ["under load", /requests a second/],
    ["during an analysis", /"Progressing","canaryWeight":[12]0/],
  ] as const)("by Ctrl-C %s leaves no process and no empty folder behind", async ([, words]) => {
    const demo = startDemo();
    await until("the moment has come", says(demo, words), 60_000);
    await sleep(Math.random() * 300);
    const folder = folderOf(demo);
    // A terminal sends it to the whole group; who is impatient, twice.
    process.kill(-(demo.child.pid ?? 0), "SIGINT");
    await sleep(150);
    if (demo.child.exitCode === null) process.kill(-(demo.child.pid ?? 0), "SIGINT");
    const { code, signal } = await demo.ended;
    // The second one may meet a process that is ending anyhow: a shell says 130 of both.
    expect(signal === "SIGINT" ? 130 : code, demo.errors()).toBe(130);
    await nothingLeft(demo, folder ?? folderOf(demo));
  });

  test("leaves no process behind either when who cleans up is killed", async () => {
    const world = await startWorld({ yes: true });
    folders.add(world.folder);
    await apply(world.client, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const containers = [{ name: "main", image: "process://sleep", command: ["sleep", "600"] }];
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "left", namespace },
      spec: { containers },
    };
    await apply(world.client, pod);
    const sleepers = () => describeProcesses(world.folder).filter((line) => line.endsWith("sleep 600"));
    await until("the pod runs", async () => sleepers().length > 0, 20_000);
    const stopped = world.stop();
    const cleaner = await until("one cleans up", async () =>
      describeProcesses(world.folder).find((line) => / down --data /.test(line)),
    );
    process.kill(Number.parseInt(cleaner, 10), "SIGKILL");
    await stopped;
    expect(describeProcesses(world.folder)).toEqual([]);
    expect(existsSync(world.folder)).toBe(false);
  });

  test("by closing its output leaves no process and no empty folder behind", async () => {
    const demo = startDemo();
    await until("it serves", says(demo, /serving on/), 60_000);
    const folder = folderOf(demo);
    demo.child.stdout.destroy();
    const { code } = await demo.ended;
    expect(code, demo.errors()).toBe(141);
    await nothingLeft(demo, folder);
  });
});
