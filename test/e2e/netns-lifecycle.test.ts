/** Network namespaces of pods from the first to the last: where they are possible, and what is left of them. */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { startWorld, type World } from "../../cli/demo/world.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { namespacesProblem } from "../../local/node/network/available.ts";
import { processesNaming } from "../../local/testing/processes.ts";
import { until } from "../../local/testing/until.ts";
import {
  applyAll,
  interfaces,
  namespace,
  nodeHolder,
  pod,
  sandboxOf,
  untilReady,
  uplinkOf,
  why,
} from "./support/pod-network.ts";

const mesh = "mesh";
const plain = "plain";
const ports = { httpPorts: [8080], tcpPorts: [9000] };

describe.skipIf(why !== undefined)("a control plane with pods in network namespaces", () => {
  let next: World | undefined;
  afterAll(async () => {
    await next?.stop();
    if (next) rmSync(next.folder, { recursive: true, force: true });
  });

  test("sweeps at its start what a killed one without its folder has left", async () => {
    const lost = await startWorld({ yes: true, network: "netns" });
    const folder = lost.folder;
    await applyAll(lost.client, [namespace(plain), ...pod(plain, "bare", ports)]);
    await untilReady(lost.client, plain);
    const link = uplinkOf(lost.ready.url);
    expect(interfaces()).toContain(link);
    await lost.crash();
    await lost.client.close();
    rmSync(folder, { recursive: true, force: true });
    expect(processesNaming(folder).length).toBeGreaterThan(3);
    expect(interfaces()).toContain(link);
    next = await startWorld({ yes: true, network: "netns" });
    const own = uplinkOf(next.ready.url);
    await until(
      "nothing is left",
      () => processesNaming(folder).length === 0 && !(interfaces().includes(link) && link !== own),
    );
  });

  test("leaves no namespace, interface, route or process after `down`", async () => {
    const world = next ?? (await startWorld({ yes: true, network: "netns" }));
    next = world;
    const state = join(world.folder, "state");
    await applyAll(world.client, [namespace(mesh, { "istio-injection": "enabled" }), ...pod(mesh, "client")]);
    await untilReady(world.client, mesh);
    const link = uplinkOf(world.ready.url);
    const holders = [nodeHolder(state), sandboxOf(state, mesh, "client")];
    await world.stop(true);
    expect(interfaces()).not.toContain(link);
    // The kernel takes a moment to clear away what was killed.
    await until("the namespaces' holders are gone", () =>
      holders.every((holder) => !existsSync(`/proc/${holder}`)),
    );
    expect(processesNaming(world.folder)).toEqual([]);
    const { stdout } = spawnSync("ip", ["route"], { encoding: "utf8" });
    expect(stdout).not.toContain(link);
  });
});

test.skipIf(process.getuid?.() !== 0)("`auto` says which data path and why", async () => {
  const ask = `import("${join(import.meta.dirname, "../../cli/up/network.ts")}").then(async ({ chooseNetwork }) => console.log(JSON.stringify(await chooseNetwork("auto"))))`;
  const said = (program: string, ...args: string[]) =>
    JSON.parse(
      spawnSync(program, [...args, process.execPath, "-e", ask], { encoding: "utf8" }).stdout,
    ) as unknown;
  const problem = await namespacesProblem();
  expect(said("env")).toEqual(
    problem === undefined
      ? { mode: "netns", why: "root, and all it needs is here" }
      : { mode: "loopback", why: problem },
  );
});

/** A user namespace has one user, so sidecars are known by a mark instead. */
test.skipIf(why !== undefined)("a release and its policies in `unshare -rn`, without root outside", () => {
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    [
      "-rn",
      process.execPath,
      programFile,
      "demo",
      "--yes",
      "--json",
      "--network",
      "netns",
      "--fault",
      "none",
    ],
    { encoding: "utf8", timeout: 170_000 },
  );
  expect(status, stderr).toBe(0);
  const summary = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { record: string };
  rmSync(dirname(summary.record), { recursive: true, force: true });
  expect(stdout).toContain("network netns");
  expect(summary).toMatchObject({ event: "summary", denied: 403, allowed: 200, failedBeforeFault: 0 });
});
