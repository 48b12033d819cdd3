import { mkdtempSync, rmSync } from "node:fs";
import { createServer, get, type IncomingHttpHeaders, request, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../api/resource.ts";
import type { Cut } from "../api/signals.ts";
import { systemClock } from "../lib/clock.ts";
import { silent } from "../lib/log.ts";
import { until } from "../local/testing/until.ts";
import { envoyBinary, envoyMissing } from "../test/support/envoy.ts";
import { type PodOnLoopback, preparePod, startAgentProcess } from "./agent/testbed.ts";
import { createRoot, readAuthority } from "./ca/authority.ts";
import { serveOwnCertificate } from "./ca/server-credentials.ts";
import { certificateServiceDefinition, certificateServiceImplementation } from "./ca/service.ts";
import type { AckEvent, Mesh } from "./contract.ts";
import { startMesh } from "./start.ts";
import { createMemoryInformers } from "./testbed/informers.ts";
import { serveGrpc } from "./xds/serve.ts";

const net = `127.${100 + (process.pid % 50)}`;
const controlPlane = `${net}.0.1`;
const pods = {
  client: { ip: `${net}.1.1`, app: `${net}.129.1`, account: "client" },
  "shop-primary": { ip: `${net}.1.2`, app: `${net}.129.2`, account: "shop" },
  shop: { ip: `${net}.1.3`, app: `${net}.129.3`, account: "shop" },
} as const;
type PodName = keyof typeof pods;

const mark = {
  canary: { namespace: "demo", name: "shop", uid: "uid-1" },
  run: "run-1",
  revision: "r1",
  primaryHost: "shop-primary.demo.svc.cluster.local",
  canaryHost: "shop-canary.demo.svc.cluster.local",
};

function service(name: string, selector: PodName): KubeObject[] {
  const ready = {
    conditions: { ready: true },
    targetRef: { kind: "Pod", namespace: "demo", name: selector },
  };
  const objects = [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: "demo" },
      spec: {
        clusterIP: "None",
        selector: { app: selector },
        ports: [{ name: "http", port: 80, targetPort: 8080 }],
      },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: `${name}-1`, namespace: "demo", labels: { "kubernetes.io/service-name": name } },
      ports: [{ name: "http", port: 8080 }],
      endpoints: [{ addresses: [pods[selector].ip], ...ready }],
    },
  ];
  return objects;
}

function pod(name: PodName): KubeObject & Record<string, unknown> {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "demo", labels: { app: name, "security.istio.io/tlsMode": "istio" } },
    spec: {
      serviceAccountName: pods[name].account,
      containers: [{ name: "app", ports: [{ containerPort: 8080 }] }],
    },
    status: { podIP: pods[name].ip },
  };
}

function route(canaryWeight: number, live: boolean): KubeObject & Record<string, unknown> {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: {
      name: "shop",
      namespace: "demo",
      annotations: live ? { "fairlead.dev/run": JSON.stringify(mark) } : {},
    },
    spec: {
      hosts: ["shop"],
      http: [
        {
          route: [
            { destination: { host: "shop-primary" }, weight: 100 - canaryWeight },
            { destination: { host: "shop-canary" }, weight: canaryWeight },
          ],
        },
      ],
    },
  };
}

function withSpec(spec: object): KubeObject & { readonly spec: object } {
  return { ...route(0, false), spec };
}

const peerAuthentication: KubeObject & Record<string, unknown> = {
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "default", namespace: "demo" },
  spec: { mtls: { mode: "STRICT" } },
};

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A request through the client's HTTP proxy, as an absolute URL. */
function ask(host = "shop"): Promise<Answer> {
  return send({ host: pods.client.ip, port: 15080, path: `http://${host}/`, headers: { host } });
}

function send(options: {
  host: string;
  port: number;
  path: string;
  headers?: Record<string, string>;
}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get({ ...options, agent: false, timeout: 2000 }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    }).on("error", reject);
  });
}

/** The same in a tunnel (CONNECT), as Node's own fetch asks a proxy. */
function askInTunnel(): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ host: pods.client.ip, port: 15080, method: "CONNECT", path: "shop:80" })
      .on("connect", (_response, socket) => {
        let text = "";
        socket.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        socket.on("end", () => resolve(text.slice(text.lastIndexOf("\r\n") + 2)));
        socket.on("error", reject);
        socket.write("GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
      })
      .on("error", reject)
      .end();
  });
}

describe.skipIf(envoyMissing !== undefined)("a mesh of three real sidecars", () => {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-mesh-"));
  const informers = createMemoryInformers([
    pod("client"),
    pod("shop"),
    pod("shop-primary"),
    ...service("shop", "shop-primary"),
    ...service("shop-primary", "shop-primary"),
    ...service("shop-canary", "shop"),
    route(0, false),
  ]);
  const seen = new Map<string, IncomingHttpHeaders>();
  const acks: AckEvent[] = [];
  const agents: ReturnType<typeof startAgentProcess>[] = [];
  const apps: Server[] = [];
  const stops: (() => void)[] = [];
  let mesh: Mesh;

  const servedBy = (version: string) =>
    until(`only ${version} answers`, async () => (await ask()).body === version);
  const settled = () =>
    until("all proxies hold all", () => mesh.connectedProxies().every(({ synced }) => synced));

  beforeAll(async () => {
    const authority = readAuthority(createRoot("cluster.local", Date.now()));
    const serving = serveOwnCertificate({
      authority: () => authority,
      names: { dns: ["istiod.istio-system.svc"], ips: [controlPlane] },
      clock: systemClock,
      logger: silent,
    });
    mesh = await startMesh({ informers, logger: silent, clock: systemClock, removalDelay: 200 });
    mesh.onAck((event) => acks.push(event));
    const certificates = {
      definition: certificateServiceDefinition,
      implementation: certificateServiceImplementation({
        authority: () => authority,
        prove: ({ authorization = "" }) => {
          const [namespace = "", serviceAccount = ""] = authorization.replace("Bearer ", "").split("/");
          return Promise.resolve({ identity: { trustDomain: "cluster.local", namespace, serviceAccount } });
        },
        clock: systemClock,
        logger: silent,
      }),
    };
    const server = await serveGrpc({
      tls: { host: controlPlane, port: 15012, credentials: serving.credentials },
      services: [...mesh.services, certificates],
    });
    stops.push(
      () => server.close(),
      serving.close,
      () => mesh.close(),
    );
    for (const [name, { ip, app, account }] of Object.entries(pods)) {
      const server = createServer(({ headers }, response) => {
        seen.set(name, headers);
        response.end(name);
      });
      await new Promise<void>((resolve) => server.listen(8080, app, resolve));
      apps.push(server);
      const onLoopback: PodOnLoopback = {
        name,
        ip,
        namespace: "demo",
        serviceAccount: account,
        controlPlane,
        rootPem: authority.rootPem,
        envoy: envoyBinary,
        folder: join(folder, name),
        env: { FAIRLEAD_APP_ADDRESS: app, FAIRLEAD_LOOPBACK: "true" },
      };
      agents.push(startAgentProcess(preparePod(onLoopback)));
    }
    await until("three proxies connect", () => mesh.connectedProxies().length === 3, 20_000).catch(
      (error) => {
        throw new Error(
          `${error}\n${agents
            .map((agent) => agent.log())
            .join("\n")
            .slice(-3000)}`,
        );
      },
    );
    await until("an answer comes", async () => (await ask().catch(() => undefined))?.status === 200, 20_000);
    await settled();
  }, 60_000);

  afterAll(async () => {
    for (const agent of agents) agent.process.kill("SIGKILL");
    await Promise.all(agents.map((agent) => agent.exited));
    for (const stop of stops) stop();
    for (const app of apps) {
      app.closeAllConnections();
      app.close();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test("requests go by mutual TLS: the server's application is told the client's identity", async () => {
    await servedBy("shop-primary");
    expect(seen.get("shop-primary")?.["x-forwarded-client-cert"]).toContain(
      "URI=spiffe://cluster.local/ns/demo/sa/client",
    );
    await expect(askInTunnel()).resolves.toBe("shop-primary");
  });

  test("a live canary's weights travel by RTDS alone", async () => {
    informers.put(route(0, true));
    await until("the keys are there", () => {
      const [client] = mesh.connectedProxies();
      return client !== undefined && mesh.viewOf(client.proxy).runtimeKeys.size === 2;
    });
    await settled();
    acks.length = 0;
    informers.put(route(100, true));
    await servedBy("shop");
    await settled();
    expect(new Set(acks.map(({ type }) => type))).toEqual(new Set(["runtime"]));
    await expect(askInTunnel()).resolves.toBe("shop");
  });

  test("a cut holds the canary at 0 whatever the route says, until the route carries the rollback", async () => {
    const cut: Cut = {
      kind: "cut",
      id: "cut-1",
      canaryUid: "uid-1",
      run: "run-1",
      revision: "r1",
      route: { kind: "VirtualService", namespace: "demo", name: "shop" },
      canaryDestinations: [mark.canaryHost],
      primaryDestination: mark.primaryHost,
      reason: "every attempt failed",
      at: Date.now(),
    };
    mesh.cuts.set(cut);
    await servedBy("shop-primary");
    await settled();
    expect(mesh.cuts.set(cut)).toEqual({ held: 3, of: 3 });
    const stored = route(0, true);
    const rollback = { id: "cut-1", run: "run-1", revision: "r1", reason: "", at: "" };
    const annotations = { ...stored.metadata.annotations, "fairlead.dev/rollback": JSON.stringify(rollback) };
    informers.put({ ...stored, metadata: { ...stored.metadata, annotations } });
    await until("the cut ends", () => mesh.cuts.list().length === 0);
    await servedBy("shop-primary");
  });

  test("closing a run: the table gets plain weights again, its keys go after it, and not one request fails", async () => {
    informers.put(route(100, true));
    await servedBy("shop");
    let failed = 0;
    let running = true;
    const load = (async () => {
      while (running) {
        const { status, body } = await ask();
        if (status !== 200 || body !== "shop") failed += 1;
      }
    })();
    informers.put(route(100, false));
    await settled();
    await until("the keys are gone", () => {
      const [client] = mesh.connectedProxies();
      return client !== undefined && mesh.viewOf(client.proxy).runtimeKeys.size === 0;
    });
    await settled();
    running = false;
    await load;
    expect(failed).toBe(0);
  });

  test("a new Service's clusters and endpoints come before the route that uses them: no request fails", async () => {
    informers.put(route(0, false));
    await servedBy("shop-primary");
    const failed: Answer[] = [];
    let running = true;
    const load = (async () => {
      while (running) {
        const answer = await ask();
        if (answer.status !== 200) failed.push(answer);
      }
    })();
    const added = service("shop-new", "shop");
    for (const object of added) informers.put(object);
    informers.put(withSpec({ hosts: ["shop"], http: [{ route: [{ destination: { host: "shop-new" } }] }] }));
    await servedBy("shop");
    informers.put(route(0, false));
    for (const object of added) informers.remove(object);
    await servedBy("shop-primary");
    await settled();
    running = false;
    await load;
    expect(failed).toEqual([]);
  });

  test("what a proxy refuses is taken back for all, with Envoy's words on the object; the rest goes on", async () => {
    informers.put(
      withSpec({ hosts: ["shop"], http: [{ redirect: { uri: "/new\nline", scheme: "https" } }] }),
    );
    const problem = await until("the refusal is told", () =>
      mesh.problems().find(({ message }) => message.startsWith("a proxy refused")),
    );
    expect(problem.resource).toEqual({ kind: "VirtualService", namespace: "demo", name: "shop" });
    await servedBy("shop-primary");
    informers.put(route(100, false));
    await servedBy("shop");
    expect(mesh.problems()).toEqual([]);
    informers.put(route(0, false));
    await servedBy("shop-primary");
  });

  test("STRICT turns plaintext away and keeps the mesh's own requests", async () => {
    const direct = () => send({ host: pods["shop-primary"].ip, port: 8080, path: "/" });
    await expect(direct()).resolves.toMatchObject({ status: 200 });
    informers.put(peerAuthentication);
    await until("plaintext is refused", () =>
      direct().then(
        () => false,
        () => true,
      ),
    );
    await expect(ask()).resolves.toMatchObject({ status: 200, body: "shop-primary" });
  });

  test("a host that nobody declared is passed on", async () => {
    await expect(ask(`localhost:1`)).resolves.toMatchObject({ status: 503 });
    const elsewhere = createServer((_request, response) => response.end("outside"));
    await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
    const address = elsewhere.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    await expect(ask(`127.0.0.1:${address.port}`)).resolves.toMatchObject({ status: 200, body: "outside" });
    elsewhere.closeAllConnections();
    elsewhere.close();
  });
});
