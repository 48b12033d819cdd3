/**
 * The Helm chart at work on a real API server: controller, mesh and webhooks as its Deployments' pods (processes here),
 * each its own service account, carry whole rollouts; and a right that is taken away is missed.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rollbackAnnotation } from "../../api/annotations.ts";
import { type Pod, PodKind } from "../../api/core.ts";
import { crds } from "../../api/crds.ts";
import { type Canary, VirtualServiceKind } from "../../api/kinds.ts";
import type { UnreadObject } from "../../api/resource.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import { type RequestLine, readRecord } from "../../cli/demo/record.ts";
import { apply, readCanary } from "../../cli/demo/release.ts";
import { ports } from "../../cli/rooms/ports.ts";
import { prepareEnvoy } from "../../cli/up/prepare-envoy.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { createLogger } from "../../lib/log.ts";
import { attachKubernetes, type LocalKubernetes } from "../../local/index.ts";
import { until } from "../../local/testing/until.ts";
import { agentCommand } from "../../mesh/agent/command.ts";
import { applyObjects, chartNamespace, renderChart, type Target } from "../cluster/chart.ts";
import { startCluster } from "../cluster/start.ts";
import { envoyMissing } from "../support/envoy.ts";
import { deployShop, untilPhase } from "./support/shop.ts";
import { cluster } from "./support/world.ts";

const missing = envoyMissing ?? (cluster === "real" ? undefined : "needs a real API server: --cluster real");

/** What stands for the chart's image: its ENTRYPOINT, bound to the pod's own address, as there is no network namespace. */
const image = ["sh", "-c", `exec "${process.execPath}" "${programFile}" "$@" --host "$HOST"`, "fairlead"];

describe.skipIf(missing !== undefined)(`the chart on a cluster${missing ? ` (${missing})` : ""}`, () => {
  let folder: string;
  let kubernetes: Awaited<ReturnType<typeof startCluster>>;
  let node: LocalKubernetes;
  let target: Target;
  let record: string;
  let faultFile: string;
  const values = (mesh: string) => [
    `mesh.address=${mesh}`,
    "proxy.image=fairlead/proxy:0.1.0",
    "proxy.interception=NONE",
    "logLevel=warn",
  ];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-rooms-"));
    record = join(folder, "requests.ndjson");
    faultFile = join(folder, "fault");
    process.env.ENVOY_BIN = await prepareEnvoy({ yes: true, logger: createLogger("warn") });
    // Webhooks by their Service's endpoints: nothing here makes its cluster IP reachable.
    kubernetes = await startCluster({
      controllers: true,
      apiServerFlags: ["--enable-aggregator-routing=true"],
    });
    target = { kubectl: kubernetes.parts.kubectl, kubeconfig: kubernetes.kubeconfig };
    node = await attachKubernetes({
      ...{ dataDir: join(folder, "state"), connection: kubernetes.connection, ...target },
      images: new Map<string, readonly string[]>([
        ["fairlead/fairlead", image],
        ["fairlead/proxy", agentCommand()],
      ]),
    });
    const home = { apiVersion: "v1", kind: "Namespace", metadata: { name: chartNamespace } };
    await applyObjects(target, [home, ...crds]);
    // The mesh first: here its Service's name leads nowhere, so the others are told its pod's address.
    const first = await renderChart();
    await applyObjects(target, first.filter(isOfMesh));
    const mesh = await untilReady("mesh");
    const rest = await renderChart(values(`${mesh.status?.podIP}:${ports.tls}`));
    await applyObjects(
      target,
      rest.filter((object) => !isOfMesh(object)),
    );
    await untilReady("controller");
    await untilReady("webhooks");
    await until("the webhooks are registered", async () => (await injectorEntries()) > 0, 30_000);
  });
  afterAll(async () => {
    await node?.stopAll();
    await kubernetes?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  /** All but the Deployments of the other two: their accounts and Services do no harm. */
  const isOfMesh = ({ kind, metadata }: UnreadObject): boolean =>
    kind !== "Deployment" || metadata?.name === "fairlead-mesh";

  /** A part's ready pod; the error tells its state and its words. */
  async function untilReady(part: string): Promise<Pod> {
    const app = `fairlead-${part}`;
    return until(`${part} is ready`, () => readyPod(app), 60_000).catch(async (error: unknown) => {
      const { items } = await node.client.list(PodKind, { namespace: chartNamespace });
      const told = items.map(async ({ metadata, status }) => {
        const path = `/api/v1/namespaces/${chartNamespace}/pods/${metadata.name}/log`;
        const words = await node.client.text(path).catch(String);
        return `${metadata.name}: ${JSON.stringify(status?.containerStatuses ?? status)}\n${words.slice(-1000)}`;
      });
      throw new Error((await Promise.all(told)).join("\n"), { cause: error });
    });
  }

  async function readyPod(app: string): Promise<Pod | undefined> {
    const { items } = await node.client.list(PodKind, {
      namespace: chartNamespace,
      labelSelector: `app=${app}`,
    });
    return items.find(({ status }) =>
      status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
    );
  }

  async function injectorEntries(): Promise<number> {
    const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector";
    const { webhooks = [] } = await node.client.request<{ webhooks?: unknown[] }>("GET", path);
    return webhooks.length;
  }

  /** The demo's Canary with a query of its own. */
  function withQuery(): UnreadObject {
    const { spec, ...canary } = manifests.canary() as unknown as Canary;
    const query =
      'sum(rate(istio_requests_total{reporter="destination",destination_workload="{{ target }}",response_code!="404"}[10s]))';
    const own = { name: "answers", query, thresholdRange: { min: 1 } };
    const metrics = [...(spec.analysis?.metrics ?? []), own];
    return { ...canary, spec: { ...spec, analysis: { ...spec.analysis, metrics } } };
  }

  const lines = (): RequestLine[] => {
    try {
      return readRecord(record);
    } catch {
      return [];
    }
  };

  test("a good version is promoted under load, and no request fails", async () => {
    await deployShop(node.client, withQuery());
    await apply(node.client, manifests.load(100, record));
    await until("requests flow", () => lines().length > 100, 30_000);
    await apply(node.client, manifests.shop("2"));
    await untilPhase(node.client, ["Progressing"], 30);
    // No Prometheus is named: the mesh, another pod, answers.
    const check = await until("the query is answered", async () => {
      const found = (await readCanary(node.client))?.status?.checks?.find(({ name }) => name === "answers");
      return found?.result === "passed" ? found : undefined;
    });
    expect(check.value).toBeGreaterThan(1);
    expect(await untilPhase(node.client, ["Succeeded", "Failed"], 90)).toBe("Succeeded");
    const all = lines();
    expect(all.filter(({ status }) => status !== 200)).toEqual([]);
    expect(new Set(all.slice(-50).map(({ version }) => version))).toEqual(new Set(["2"]));
  });

  test("a bad version is taken back between two ticks, by what the mesh's proxies tell the controller elsewhere", async () => {
    await apply(node.client, manifests.shop("3", faultFile));
    await untilPhase(node.client, ["Progressing"], 30);
    await until(
      "weight 20",
      async () => (await readCanary(node.client))?.status?.canaryWeight === 20,
      30_000,
    );
    writeFileSync(faultFile, "1");
    expect(await untilPhase(node.client, ["Succeeded", "Failed"], 30)).toBe("Failed");
    const failed = lines().filter(({ status }) => status >= 500);
    const first = Math.min(...failed.map(({ end }) => end));
    const last = Math.max(
      ...lines()
        .filter(({ version }) => version === "3")
        .map(({ end }) => end),
    );
    console.info(`first failure to last answer of version 3: ${((last - first) / 1000).toFixed(2)} s`);
    expect(last - first).toBeLessThan(2000);
    expect((await readCanary(node.client))?.status?.failure?.reason).toBe("TripWire");
    const route = await node.client.get(VirtualServiceKind, manifests.namespace, "shop");
    expect(route?.metadata.annotations?.[rollbackAnnotation]).toBeDefined();
    expect(failed.every(({ version }) => version === "3")).toBe(true);
  });

  test("both runs are recorded beside the Canary, and judged again with the same verdicts", async () => {
    const options = [
      "--records",
      "configmaps",
      "--kubeconfig",
      kubernetes.kubeconfig,
      "-n",
      "demo",
      "-o",
      "json",
    ];
    const fairlead = async (...words: string[]): Promise<unknown> => {
      const { stdout } = await promisify(execFile)(process.execPath, [
        programFile,
        "analysis",
        ...words,
        ...options,
      ]);
      return JSON.parse(stdout);
    };
    const runs = await until("both records are written", async () => {
      const found = (await fairlead("runs", "shop")) as { run: string }[];
      return found.length === 2 ? found : undefined;
    });
    const [bad, good] = await Promise.all(runs.map(({ run }) => fairlead("replay", "--run", run)));
    expect(bad).toMatchObject({ verdict: "rolled back" });
    expect(good).toMatchObject({ verdict: "promoted" });
  });

  test("without the right to write routes the controller starts no release, and says why", async () => {
    const roles = (await renderChart()).filter(({ kind }) => kind === "ClusterRole");
    const role = roles.find(({ metadata }) => metadata?.name === "fairlead-controller");
    const rules = (role as { rules?: { resources: string[] }[] } | undefined)?.rules ?? [];
    const without = rules.filter(({ resources }) => !resources.includes("virtualservices"));
    expect(without).toHaveLength(rules.length - 1);
    await applyObjects(target, [{ ...role, rules: without }]);
    rmSync(faultFile, { force: true });
    await apply(node.client, manifests.shop("4"));
    const pod = await until("the controller is there", () => readyPod("fairlead-controller"));
    const said = await until(
      "the controller says what it may not",
      async () => {
        const path = `/api/v1/namespaces/${chartNamespace}/pods/${pod.metadata.name}/log`;
        const text = await node.client.text(path);
        return /virtualservices.*is forbidden.*fairlead-controller/.exec(text)?.[0];
      },
      60_000,
    );
    expect(said).toContain("cannot");
    const status = (await readCanary(node.client))?.status;
    expect(status?.phase).not.toBe("Succeeded");
    expect(status?.canaryWeight ?? 0).toBe(0);
    await applyObjects(target, [{ ...role }]);
    expect(await untilPhase(node.client, ["Succeeded"], 120)).toBe("Succeeded");
  });
});
