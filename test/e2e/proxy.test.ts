/** `fairlead proxy` as a command, on a control plane with one application in the mesh. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeploymentKind, NamespaceKind, PodKind, ServiceKind } from "../../api/core.ts";
import type { Kind, UnreadObject } from "../../api/resource.ts";
import type { World } from "../../cli/demo/world.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { until } from "../../local/testing/until.ts";
import type { ProxyDump, SyncStatus } from "../../mesh/debug/contract.ts";
import { envoyMissing } from "../support/envoy.ts";
import { network } from "./support/machine.ts";
import { cluster, openWorld } from "./support/world.ts";

const meta = { name: "web", namespace: "shop" };
const labels = { app: "web" };
const server = "require('http').createServer((q, s) => s.end('ok')).listen(8080, process.env.HOST)";
const containers = [
  {
    name: "app",
    image: "process://",
    command: [process.execPath, "-e", server],
    ports: [{ containerPort: 8080 }],
  },
];
const objects: readonly UnreadObject[] = [
  {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "shop", labels: { "istio-injection": "enabled" } },
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta,
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta,
    spec: { selector: labels, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
  },
];

// With a real API server the mesh stands at another address, and a pod in a namespace keeps its admin page to itself.
const missing =
  envoyMissing ?? (cluster === "real" || network === "netns" ? "needs loopback pods" : undefined);

describe.skipIf(missing !== undefined)(`fairlead proxy${missing ? ` (${missing})` : ""}`, () => {
  let world: World;
  let name: string;

  const fairlead = (...words: readonly string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const all = [programFile, "proxy", ...words, "--kubeconfig", world.ready.kubeconfig];
      execFile(process.execPath, all, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), out, err }),
      );
    });

  beforeAll(async () => {
    world = await openWorld();
    const kinds: readonly Kind[] = [NamespaceKind, DeploymentKind, ServiceKind];
    for (const object of objects)
      for (const kind of kinds.filter((known) => known.kind === object.kind))
        await world.client.create(kind, object);
    const ready = await until(
      "the pod is ready",
      async () => {
        const { items } = await world.client.list(PodKind, { namespace: "shop" });
        return items.find(({ status }) =>
          status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
        );
      },
      30_000,
    );
    name = `shop/${ready.metadata.name}`;
  }, 60_000);
  afterAll(() => world?.stop());

  test("status has a line for it, and in JSON each type that it asked for", async () => {
    const table = await fairlead("status");
    expect(table).toMatchObject({ code: 0, err: "" });
    const line = table.out.split("\n").find((text) => text.startsWith(name));
    expect(line).toMatch(/ +synced [0-9a-f]{8} .* nothing$/);
    const json = await fairlead("status", name, "-o", "json");
    const [status]: readonly SyncStatus[] = JSON.parse(json.out);
    expect(status).toMatchObject({ proxy: name, kind: "sidecar", synced: true });
    expect(status?.types.cluster).toMatchObject({ synced: true, lacking: [], leftover: [] });
    expect(await fairlead("status", "nobody", "-n", "shop")).toMatchObject({
      code: 1,
      err: expect.stringContaining(`no proxy \`shop/nobody\` is connected; there are ${name}`),
    });
  });

  test("config has what it should hold; diff finds its Envoy running that, and what a changed dump has otherwise", async () => {
    const config = await fairlead("config", name, "routes", "-o", "json");
    const dump: ProxyDump = JSON.parse(config.out);
    expect(Object.keys(dump.resources)).toEqual(["route"]);
    expect(dump.resources.route).toMatchObject([{ name: "http_proxy", held: true }]);
    const live = await fairlead("diff", name);
    expect(live).toMatchObject({ code: 0, err: "" });
    expect(live.out).toMatch(/^listeners: as wanted \(2\)\nroutes: as wanted \(1\)\nclusters: as wanted/);

    const { status } = (await world.client.get(PodKind, "shop", name.replace("shop/", ""))) ?? {};
    const page = await fetch(`http://${status?.podIP}:15000/config_dump?include_eds`);
    const file = join(world.folder, "dump.json");
    const text = await page.text();
    writeFileSync(file, text.replace(/(?<="name": "own-http-proxy",[\s\S]*?"connect_timeout": ")\d+s/, "3s"));
    expect(readFileSync(file, "utf8")).not.toBe(text);
    const changed = await fairlead("diff", name, "--envoy", file);
    expect(changed).toMatchObject({ code: 1, err: expect.stringContaining("runtime: not compared") });
    expect(changed.out).toMatch(
      / {2}~ own-http-proxy\n {4}- \/connectTimeout "\d+s"\n {4}\+ \/connectTimeout "3s"/,
    );
  });

  test("the pages are for those whom the API server lets see them", async () => {
    const { hostname } = new URL(world.ready.url);
    const page = await fetch(`http://${hostname}:15014/debug/syncz`);
    expect(page.status).toBe(401);
    expect(await fairlead("status", "--account", "istio-system/default")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/`system:serviceaccount:istio-system:default` may not get \/debug\/syncz/),
    });
  });
});
