/** `fairlead.dev/scope: learned`: a workload's Envoys get what it calls, and no request notices. */
import { execFile } from "node:child_process";
import { Agent, request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeploymentKind, NamespaceKind, type Pod, PodKind, ServiceKind } from "../../api/core.ts";
import { PeerAuthenticationKind, VirtualServiceKind } from "../../api/kinds.ts";
import type { Kind, UnreadObject } from "../../api/resource.ts";
import type { World } from "../../cli/demo/world.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { network } from "./support/machine.ts";
import { cluster, openWorld } from "./support/world.ts";

/** As Envoy's admin page `/clusters?format=json` has it, as far as it is read. */
interface ClusterStatus {
  readonly name: string;
  readonly host_statuses?: readonly unknown[];
}

const meta = (namespace: string, name: string) => ({ namespace, name });
const injected = { "istio-injection": "enabled" };
const answer = `require('http').createServer((q, s) => {
  let body = ''; q.on('data', (part) => body += part);
  q.on('end', () => s.end(JSON.stringify({ body, peer: q.headers['x-forwarded-client-cert'] })));
}).listen(8080, process.env.HOST)`;

function deployment(namespace: string, name: string, replicas = 1): UnreadObject {
  const containers = [
    {
      name: "app",
      image: "process://",
      command: [process.execPath, "-e", answer],
      ports: [{ containerPort: 8080 }],
      readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
    },
  ];
  const labels = { app: name };
  const spec = {
    replicas,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers } },
  };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: meta(namespace, name), spec };
}

function service(namespace: string, name: string, app: string): UnreadObject {
  const spec = { selector: { app }, ports: [{ name: "http", port: 80, targetPort: 8080 }] };
  return { apiVersion: "v1", kind: "Service", metadata: meta(namespace, name), spec };
}

const echoes = ["one", "two", "split", "left", "right", "quiet"];
const objects: readonly (readonly [Kind, UnreadObject])[] = [
  [
    NamespaceKind,
    {
      ...{ apiVersion: "v1", kind: "Namespace" },
      metadata: { name: "web", labels: injected, annotations: { "fairlead.dev/scope": "learned" } },
    },
  ],
  [NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "stock", labels: injected } }],
  [
    PeerAuthenticationKind,
    {
      ...{ apiVersion: "security.istio.io/v1", kind: "PeerAuthentication" },
      ...{ metadata: meta("stock", "default"), spec: { mtls: { mode: "STRICT" } } },
    },
  ],
  ...echoes.map((name) => [ServiceKind, service("stock", name, "echo")] as const),
  [ServiceKind, service("web", "caller", "caller")],
  [
    VirtualServiceKind,
    {
      ...{ apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: meta("stock", "split") },
      spec: {
        hosts: ["split"],
        http: [{ route: ["left", "right"].map((host) => ({ destination: { host }, weight: 50 })) }],
      },
    },
  ],
];

// With a real API server the mesh stands at another address, and a pod in a namespace keeps its admin page to itself.
const missing =
  envoyMissing ?? (cluster === "real" || network === "netns" ? "needs loopback pods" : undefined);

describe.skipIf(missing !== undefined)(`learned scope${missing ? ` (${missing})` : ""}`, () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 100 });
  let world: World;
  let callers: readonly string[] = [];

  async function readyPods(namespace: string, count: number): Promise<readonly Pod[]> {
    return until(
      `${count} pods of ${namespace}`,
      async () => {
        const { items } = await world.client.list(PodKind, { namespace });
        const ready = items.filter(({ status }) =>
          status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
        );
        return ready.length === count ? ready : undefined;
      },
      40_000,
    );
  }

  /** A request by the sidecar of the caller's pod at this address. */
  function ask(caller: string | undefined, host: string, body = ""): Promise<string> {
    return new Promise((resolve, reject) => {
      const path = `http://${host}/`;
      const sent = request(
        {
          agent,
          host: caller ?? "",
          port: 15080,
          path,
          method: body === "" ? "GET" : "POST",
          headers: { host },
        },
        (response) => {
          let text = "";
          response.on("data", (chunk: Buffer) => (text += chunk.toString()));
          response.on("end", () => resolve(`${response.statusCode} ${text}`));
          response.on("error", reject);
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }

  /** Hosts of the outbound clusters that the Envoy of a pod holds, of `served` those that have an endpoint. */
  async function held(pod: string | undefined, of: "all" | "served" = "all"): Promise<readonly string[]> {
    const page = await fetch(`http://${pod}:15000/clusters?format=json`);
    const { cluster_statuses: clusters }: { cluster_statuses: readonly ClusterStatus[] } = JSON.parse(
      await page.text(),
    );
    return clusters
      .filter(({ host_statuses: hosts }) => of === "all" || hosts !== undefined)
      .flatMap(({ name }) => /^outbound\|80\|\|(.*)\.svc\.cluster\.local$/.exec(name)?.[1] ?? [])
      .toSorted();
  }

  beforeAll(async () => {
    world = await openWorld();
    for (const [kind, object] of objects) await world.client.create(kind, object);
    await world.client.create(DeploymentKind, deployment("stock", "echo"));
    await world.client.create(DeploymentKind, deployment("web", "caller", 2));
    const [echo] = await readyPods("stock", 1);
    // A pod is ready a moment before the mesh has it as an endpoint of its Services.
    await until("each Service has its endpoint", async () => {
      const served = await held(echo?.status?.podIP, "served");
      return echoes.every((name) => served.includes(`${name}.stock`));
    });
    callers = (await readyPods("web", 2)).map(({ status }) => status?.podIP ?? "");
  }, 90_000);
  afterAll(async () => {
    agent.destroy();
    await world?.stop();
  });

  test("an Envoy begins with its own namespace; one of another namespace has everything", async () => {
    expect(await held(callers[0])).toEqual(["caller.web"]);
    const [echo] = await readyPods("stock", 1);
    expect(await held(echo?.status?.podIP)).toContain("caller.web");
    expect(await held(echo?.status?.podIP)).toContain("quiet.stock");
  });

  test("the first request to a Service brings its cluster, with mutual TLS, its body whole; the workload's other pod gets it too", async () => {
    const text = "x".repeat(100_000);
    const told = await ask(callers[0], "one.stock", text);
    expect(told.slice(0, 200)).toMatch(/^200 /);
    expect(JSON.parse(told.slice(4))).toEqual({
      body: text,
      peer: expect.stringContaining("URI=spiffe://cluster.local/ns/web/sa/default"),
    });
    expect(await held(callers[0])).toEqual(["caller.web", "one.stock"]);
    await until("the other pod has it", async () => (await held(callers[1])).includes("one.stock"));
  });

  test("not one of 100 first requests at once fails, and a route brings all that it leads to", async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        ask(callers[index % 2], index < 50 ? "two.stock" : "split.stock"),
      ),
    );
    expect(answers.filter((one) => !one.startsWith("200 "))).toEqual([]);
    const all = ["caller.web", "left.stock", "one.stock", "right.stock", "two.stock"];
    for (const caller of callers)
      await until("it has both arms", async () => (await held(caller)).join() === all.join());
  });

  test("`fairlead proxy diff` finds the Envoy running what it should", async () => {
    const [pod] = await readyPods("web", 2);
    const name = `web/${pod?.metadata.name}`;
    const words = ["proxy", "diff", name, "--kubeconfig", world.ready.kubeconfig];
    const said = await new Promise((resolve) =>
      execFile(process.execPath, [programFile, ...words], (error, out, err) =>
        resolve({ code: error === null ? 0 : error.code, out, err }),
      ),
    );
    expect(said).toMatchObject({ code: 0, err: "", out: expect.stringContaining("clusters: as wanted") });
  });

  test("what was learned outlives the control plane, and a new pod of the workload starts with it", async () => {
    const before = await held(callers[0]);
    await world.crash();
    expect(await ask(callers[0], "one.stock")).toMatch(/^200 /);
    await world.restart();
    await until(
      "it serves again",
      async () => (await ask(callers[0], "quiet.stock")).startsWith("200 "),
      20_000,
    );
    expect(await held(callers[0])).toEqual([...before, "quiet.stock"].toSorted());
    const scale = { kind: "merge" as const, body: { spec: { replicas: 3 } } };
    await world.client.patch(DeploymentKind, "web", "caller", scale);
    const added = (await readyPods("web", 3)).find(({ status }) => !callers.includes(status?.podIP ?? ""));
    expect(await held(added?.status?.podIP)).toEqual([...before, "quiet.stock"].toSorted());
  });
});
