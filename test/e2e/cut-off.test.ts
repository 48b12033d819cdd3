/**
 * The API server is cut off in the middle of a release, and then the canary fails: controller and mesh, a process each, on
 * real Envoys. `FAIRLEAD_CUT_SECONDS` is the length of the cut (60 in the goals, shorter here); the canary fails at its half.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rollbackAnnotation } from "../../api/annotations.ts";
import { NamespaceKind, ServiceAccountKind } from "../../api/core.ts";
import { VirtualServiceKind } from "../../api/kinds.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import { type RequestLine, readRecord } from "../../cli/demo/record.ts";
import { apply, readCanary, until } from "../../cli/demo/release.ts";
import { install } from "../../cli/up/install.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { silent } from "../../lib/log.ts";
import { type LocalKubernetes, startKubernetes } from "../../local/index.ts";
import { agentCommand } from "../../mesh/agent/command.ts";
import { envoyBinary, envoyMissing } from "../support/envoy.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { canaryBySteps, deployShop, untilPhase } from "./support/shop.ts";
import { cluster } from "./support/world.ts";

const seconds = Number(process.env.FAIRLEAD_CUT_SECONDS ?? 12);
const home = "istio-system";
const missing =
  envoyMissing ?? (cluster === "real" ? "its proxy stands before the embedded API server" : undefined);

describe.skipIf(missing !== undefined)(`without an API server${missing ? ` (${missing})` : ""}`, () => {
  let folder: string;
  let kubernetes: LocalKubernetes;
  let proxy: FaultProxy;
  let kubeconfig: string;
  const parts = new Map<string, ChildProcess>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-cut-"));
    kubeconfig = join(folder, "kubeconfig");
    process.env.ENVOY_BIN = envoyBinary;
    kubernetes = await startKubernetes({
      dataDir: join(folder, "state"),
      logger: silent,
      images: new Map([["fairlead/proxy", agentCommand()]]),
    });
    const { client } = kubernetes;
    await install(client);
    proxy = await startFaultProxy(kubernetes.connection, 77);
    writeFileSync(kubeconfig, kubeconfigOf(proxy.connection.url));
    const of = (kind: string, name: string, namespace?: string) => ({
      apiVersion: "v1",
      kind,
      metadata: { name, ...(namespace !== undefined && { namespace }) },
    });
    await client.create(NamespaceKind, of("Namespace", home)).catch(() => undefined);
    await client.create(ServiceAccountKind, of("ServiceAccount", "fairlead-controller", home));
    const token = await client.request<{ status: { token: string } }>(
      "POST",
      `/api/v1/namespaces/${home}/serviceaccounts/fairlead-controller/token`,
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { audiences: ["fairlead-mesh"], expirationSeconds: 3600 },
      },
    );
    writeFileSync(join(folder, "token"), token.status.token);
    startPart("mesh");
    startPart("controller");
    startPart("webhooks");
    await until("the webhooks to be registered", 60, async () => {
      const path =
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector";
      const { webhooks = [] } = await client.request<{ webhooks?: unknown[] }>("GET", path);
      return webhooks.length > 0 ? true : undefined;
    });
  });

  afterAll(async () => {
    for (const [name, child] of parts) {
      parts.delete(name);
      child.kill("SIGKILL");
    }
    await kubernetes?.stopAll();
    await proxy?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  /** Addresses of the three: as in a cluster they share no port. */
  const addressOf = (part: string): string =>
    kubernetes.host.replace(/\d+$/, { mesh: "1", controller: "2", webhooks: "3" }[part] ?? "4");

  /** Starts a part as its Deployment's pod would be, and again whenever it ends. */
  function startPart(part: "mesh" | "controller" | "webhooks"): void {
    const mesh = `${addressOf("mesh")}:15012`;
    const own = {
      mesh: [],
      controller: ["--mesh", mesh, "--mesh-token-file", join(folder, "token")],
      webhooks: [
        ...["--webhooks", `https://${addressOf("webhooks")}:15017`],
        ...["--discovery-address", mesh, "--interception", "NONE"],
      ],
    }[part];
    const args = ["serve", "--rooms", part, "--host", addressOf(part), "--kubeconfig", kubeconfig];
    const child = spawn(process.execPath, [programFile, ...args, "--log-level", "error", ...own], {
      stdio: ["ignore", "ignore", process.env.SOAK_LOG ? "inherit" : "ignore"],
    });
    parts.set(part, child);
    child.once("exit", () => {
      if (parts.get(part) === child) startPart(part);
    });
  }

  test("a canary that fails while nobody can be asked gets no traffic within 2 s, and later all say so", async () => {
    const { client } = kubernetes;
    const record = join(folder, "requests.ndjson");
    const faultFile = join(folder, "fault");
    // At its one weight for as long as the test lasts: no tick comes to the guard's help.
    await deployShop(client, canaryBySteps("10m", [50]));
    await apply(client, manifests.load(100, record));
    await until("requests", 60, async () => (readRecord(record).length > 100 ? true : undefined));
    await apply(client, manifests.shop("2", faultFile));
    await until("weight 50", 60, async () =>
      (await readCanary(client))?.status?.canaryWeight === 50 ? true : undefined,
    );
    const version2 = (): RequestLine[] => readRecord(record).filter(({ version }) => version === "2");
    await until("answers of version 2", 20, async () => (version2().length > 50 ? true : undefined));

    proxy.fault(() => ({ kind: "cut" }));
    await sleep((seconds * 1000) / 2);
    writeFileSync(faultFile, "1");
    const fault = performance.timeOrigin + performance.now();
    await until("the last answer of version 2", 20, async () => {
      const last = Math.max(...version2().map(({ end }) => end));
      return performance.timeOrigin + performance.now() - last > 2000 ? true : undefined;
    });
    // A replica of the mesh that starts anew knows of no cut, and has nobody to ask.
    parts.get("mesh")?.kill("SIGKILL");
    await sleep(Math.max(0, fault + (seconds * 1000) / 2 - (performance.timeOrigin + performance.now())));
    expect((await readCanary(client))?.status?.phase).toBe("Progressing");
    proxy.fault();

    expect(await untilPhase(client, ["Failed", "Succeeded"], 60)).toBe("Failed");
    await until("the mesh to serve again", 60, async () =>
      proxy.asked.some(({ path, isWatch }) => isWatch && path.includes("virtualservices")) ? true : undefined,
    );
    await sleep(3000);
    const route = await client.get(VirtualServiceKind, manifests.namespace, "shop");
    expect(route?.spec.http?.[0]?.route?.map(({ weight }) => weight)).toEqual([100, 0]);
    expect(route?.metadata.annotations).toHaveProperty([rollbackAnnotation]);
    expect((await readCanary(client))?.status?.failure?.reason).toBe("TripWire");

    const last = Math.max(...version2().map(({ end }) => end));
    console.info(`fault to last answer of version 2: ${((last - fault) / 1000).toFixed(2)} s`);
    expect(last - fault).toBeLessThan(2000);
    const others = readRecord(record).filter(({ status, version }) => status !== 200 && version !== "2");
    expect(others).toEqual([]);
  });
});

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server } }],
    users: [{ name: "u", user: {} }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    "current-context": "c",
  });
}
