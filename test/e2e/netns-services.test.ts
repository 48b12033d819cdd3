/** Pods in network namespaces without a sidecar: Services, the cluster's names, the machine's files. */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PodKind } from "../../api/core.ts";
import type { UnreadObject } from "../../api/resource.ts";
import { startWorld, type World } from "../../cli/demo/world.ts";
import { until } from "../../local/testing/until.ts";
import {
  applyAll,
  curl,
  type InsidePods,
  insidePods,
  namespace,
  pod,
  service,
  untilReady,
  why,
  withIp,
} from "./support/pod-network.ts";

const plain = "plain";
const webIp = "10.96.200.1";
const ports = { httpPorts: [8080] };
const servicePorts = { http: [80, 8080] } as const;

describe.skipIf(why !== undefined)(`pods without a sidecar ${why ?? ""}`, () => {
  let world: World;
  let shell: InsidePods["shell"];
  let seenBy: InsidePods["seenBy"];
  let ipOf: InsidePods["ipOf"];

  beforeAll(async () => {
    world = await startWorld({ yes: true, network: "netns" });
    ({ shell, seenBy, ipOf } = insidePods(join(world.folder, "state")));
    await applyAll(world.client, [
      namespace("mesh"),
      namespace(plain),
      withIp(service("mesh", "web", servicePorts), webIp),
      service(plain, "bare", servicePorts),
      service(plain, "nobody", servicePorts),
      ...pod(plain, "outsider"),
      ...pod(plain, "bare", ports),
      ...pod(plain, "bare-2", { ...ports, labels: { app: "bare" } }),
    ]);
    await untilReady(world.client, plain);
  });
  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
  });

  test("reach a Service's address, and each of its pods", async () => {
    const pods = new Set<string>();
    for (let call = 0; call < 30; call++) pods.add((await seenBy(plain, "outsider", "http://bare/")).pod);
    expect([...pods].sort()).toEqual(["bare", "bare-2"]);
    const { peer } = await seenBy(plain, "outsider", "http://bare.plain.svc.cluster.local/");
    expect(peer).toBe(await ipOf(plain, "outsider"));
    // A pod that reaches itself by its Service is seen under the node's address.
    const own = new Set<string>();
    for (let call = 0; call < 30; call++) own.add((await seenBy(plain, "bare", "http://bare.plain/")).pod);
    expect([...own].sort()).toEqual(["bare", "bare-2"]);
  });

  test("are refused where a Service has no pods, at once", async () => {
    const began = performance.now();
    expect(await shell(plain, "outsider", `${curl} http://nobody/`)).toMatch(/^failed.*(refused|connect)/i);
    expect(performance.now() - began).toBeLessThan(4000);
  });

  test("resolve the cluster's names and no others", async () => {
    const resolve = (name: string) =>
      shell(plain, "outsider", `getent ahostsv4 ${name} | awk '{print $1}' | sort -u`);
    expect(await resolve("web.mesh")).toBe(webIp);
    expect(await resolve("web.mesh.svc.cluster.local.")).toBe(webIp);
    expect(await resolve("web")).toBe("");
    expect(await resolve("example.com")).toBe("");
  });

  test("of another user find what they may open, in a folder of mode 0700 too", async () => {
    const file = join(world.folder, "private", "data");
    mkdirSync(dirname(file), { mode: 0o700 });
    writeFileSync(file, "");
    // `test -r` asks access(2), as many programs do before they open a file.
    const command = ["sh", "-c", `id -u; [ -r ${file} ] && echo found`];
    const [account, foreign] = pod(plain, "foreign", { command });
    const spec = { ...(foreign?.spec as object), securityContext: { runAsUser: 1337 } };
    await applyAll(world.client, [account, { ...foreign, spec }] as UnreadObject[]);
    await until(
      "it has ended",
      async () => (await world.client.get(PodKind, plain, "foreign"))?.status?.phase === "Succeeded",
    );
    expect(await world.client.text(`/api/v1/namespaces/${plain}/pods/foreign/log`)).toBe("1337\nfound\n");
  });

  test("are reached from the machine too", async () => {
    const { stdout } = spawnSync("curl", ["-sS", "-m", "5", `http://${await ipOf(plain, "bare")}:8080/`], {
      encoding: "utf8",
    });
    expect(JSON.parse(stdout)).toMatchObject({ pod: "bare" });
  });
});
