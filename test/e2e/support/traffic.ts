/** A mesh's control plane, one real Envoy as a caller's sidecar, and small services on loopback addresses behind it. */
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import { type Pod, PodKind } from "../../../api/core.ts";
import type { Condition, UnreadObject } from "../../../api/resource.ts";
import type { PatchStatus } from "../../../kube/contract.ts";
import { systemClock } from "../../../lib/clock.ts";
import { silent } from "../../../lib/log.ts";
import { until } from "../../../local/testing/until.ts";
import { readTelemetryBootstrap } from "../../../mesh/agent/telemetry-bootstrap.ts";
import { upstreamAttemptLogs } from "../../../mesh/build/attempt-log.ts";
import { nodePlaceholder } from "../../../mesh/build/bootstrap-telemetry.ts";
import { signalsCluster } from "../../../mesh/build/signals-cluster.ts";
import { inboundAccessLogs, outboundAccessLogs } from "../../../mesh/build/telemetry.ts";
import type { Interception } from "../../../mesh/model/proxy.ts";
import { serveOtlp } from "../../../mesh/signals/otlp-server.ts";
import { createSignals, type SignalsRoom } from "../../../mesh/signals/signals.ts";
import { startMesh } from "../../../mesh/start.ts";
import { startStatus, statedKinds } from "../../../mesh/status.ts";
import { bootstrapFor } from "../../../mesh/testbed/ads-bootstrap.ts";
import { createMemoryInformers } from "../../../mesh/testbed/informers.ts";
import { type RunningEnvoy, startEnvoy } from "../../support/envoy.ts";

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingMessage["headers"];
  readonly milliseconds: number;
}

export interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Answering = (request: IncomingMessage, response: ServerResponse) => void;

/** A pod: its name, the labels that are not `app`, and how it answers; by default with its name. */
export interface PodOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly answering?: Answering;
  /** The test serves on its port 8080 itself. */
  readonly serves?: false;
  /** It is of a Deployment that is named as the app. */
  readonly deployed?: true;
}

export interface TrafficOptions {
  /** Whether the proxy tells of attempts and counts, as an injected one does. */
  readonly signals?: true;
  /** Whether the proxy reads our runtime layer. */
  readonly layer?: false;
}

const silentTelemetry = {
  inboundAccessLogs: () => [],
  outboundAccessLogs: () => [],
  upstreamAttemptLogs: () => [],
};
/** Pods here have no sidecars. */
const plaintext = {
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "default", namespace: "istio-system" },
  spec: { mtls: { mode: "DISABLE" } },
};

/**
 * Starts the world.
 *
 * @param network first two numbers of the addresses, e.g. `127.81`
 * @param labels of the caller's pod
 * @param namespace of the caller, and of all objects that name none
 * @param interception `NONE`: the caller asks its sidecar as an HTTP proxy; `REDIRECT`: iptables lead its connections there
 */
export async function startTraffic(
  network: string,
  labels: Readonly<Record<string, string>> = {},
  interception: Interception = "NONE",
  namespace = "demo",
  options: TrafficOptions = {},
) {
  const caller = `${network}.0.1`;
  const proxyPort = 15080;
  const informers = createMemoryInformers([plaintext]);
  const telemetry = options.signals
    ? { inboundAccessLogs, outboundAccessLogs, upstreamAttemptLogs }
    : silentTelemetry;
  const mesh = await startMesh({ informers, logger: silent, clock: systemClock, telemetry });
  const patchStatus: PatchStatus = async (kind, { name, namespace: of }, status) => {
    const object = informers.snapshot().get(kind, of, name);
    if (object === undefined) return undefined;
    const after = { ...object, status: status(object) };
    informers.put(after);
    return after;
  };
  const stopStatus = startStatus({
    mesh,
    snapshot: () => informers.snapshot(),
    patchStatus,
    clock: systemClock,
    logger: silent,
    interval: 50,
  });
  const grpc = new GrpcServer();
  for (const { definition, implementation } of mesh.services) grpc.addService(definition, implementation);
  const seen = options.signals && (await startSignals(mesh.cuts));
  const xdsPort = await new Promise<number>((resolve, reject) =>
    grpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  const metadata = {
    INTERCEPTION_MODE: interception,
    WORKLOAD_NAME: "caller",
    LABELS: { app: "caller", ...labels },
    HTTP_PROXY_PORT: String(proxyPort),
  };
  const id = `sidecar~${caller}~caller-1.${namespace}~${namespace}.svc.cluster.local`;
  const bootstrap = bootstrapFor({
    ...{ node: { id, cluster: "caller", metadata }, xdsPort },
    layer: options.layer ?? true,
  });
  const envoy = await startEnvoy(seen ? withSignals(bootstrap, id, seen.port) : bootstrap);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const servers: Server[] = [];
  const gateways: RunningEnvoy[] = [];
  let addresses = 0;
  let generation = 0;

  function store(object: UnreadObject): void {
    generation += 1;
    const creationTimestamp = new Date(Date.now() + generation * 1000).toISOString();
    const metadata = { namespace, creationTimestamp, generation, ...object.metadata };
    informers.put({ ...object, metadata } as UnreadObject);
  }

  /** All that was written so far has reached the proxy: it holds a route that was written last. */
  async function settled(): Promise<void> {
    const body = { string: String(generation) };
    const marker = virtualService("marker", {
      hosts: ["marker.example"],
      http: [{ directResponse: { status: 200, body } }],
    });
    store(marker);
    await until("the proxy holds everything", () => {
      const { held, of } = mesh.programmed({ kind: "VirtualService", namespace, name: "marker" });
      return of > 0 && held === of && mesh.connectedProxies().every(({ synced }) => synced);
    });
  }

  return {
    mesh,
    signals: seen?.room.signals,
    informers,
    caller,
    proxyPort,
    envoy,
    settled,
    /** Starts the Envoy of a gateway's pod with these labels; answers its address. */
    async gateway(ofGateway: Readonly<Record<string, string>>): Promise<string> {
      const ip = `${network}.0.2`;
      const name = "gateway-1";
      const node = {
        id: `router~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`,
        cluster: "gateway",
        metadata: { INTERCEPTION_MODE: "NONE", WORKLOAD_NAME: "gateway", LABELS: ofGateway },
      };
      store(podObject("gateway", name, ip, ofGateway));
      gateways.push(await startEnvoy(bootstrapFor({ node, xdsPort, layer: true })));
      await settled();
      return ip;
    },
    /** Stores objects in the caller's namespace and waits until the proxy follows them. */
    async apply(...objects: readonly UnreadObject[]) {
      for (const object of objects) store(object);
      await settled();
    },
    async remove(...objects: readonly UnreadObject[]) {
      for (const object of objects)
        informers.remove({ ...object, metadata: { namespace, ...object.metadata } });
      await settled();
    },
    /** What the control plane has written on an object of the caller's namespace. */
    conditions(kind: string, name: string): readonly Partial<Condition>[] {
      const known = statedKinds.find((one) => one.kind === kind);
      const found = known && informers.snapshot().get(known, namespace, name);
      return (found?.status?.conditions ?? []) as readonly Partial<Condition>[];
    },
    /** Starts a pod of the app behind a port of a Service: it is an endpoint once a Service names it. */
    async pod(app: string, name: string, options: PodOptions = {}): Promise<string> {
      addresses += 1;
      const ip = `${network}.1.${addresses}`;
      if (options.serves !== false) {
        const server = createServer(options.answering ?? ((_, response) => response.end(name)));
        servers.push(server);
        await new Promise<void>((resolve) => server.listen(8080, ip, resolve));
      }
      store(podObject(app, name, ip, options.labels ?? {}, options.deployed === true));
      return ip;
    },
    /** A Service over the pods of an app that run now. */
    async service(
      app: string,
      port = { name: "http", port: 80, targetPort: 8080 },
      clusterIP = "None",
    ): Promise<void> {
      const pods = informers
        .snapshot()
        .list(PodKind)
        .filter(({ metadata }) => metadata.labels?.app === app);
      store(serviceObject(app, port, clusterIP));
      store(sliceObject(app, port, pods));
      await settled();
    },
    /** Asks through the caller's sidecar. */
    ask(host: string, { path = "/", method = "GET", headers = {} }: Asked = {}): Promise<Answer> {
      const began = performance.now();
      const target = { host: caller, port: proxyPort, path: `http://${host}${path}`, method, agent };
      return new Promise((resolve, reject) => {
        const outgoing = request({ ...target, headers: { host, ...headers } }, (response) => {
          let body = "";
          response.on("data", (chunk: Buffer) => {
            body += chunk.toString();
          });
          response.on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              body,
              headers: response.headers,
              milliseconds: performance.now() - began,
            }),
          );
          response.on("error", reject);
        });
        outgoing.on("error", reject);
        outgoing.end();
      });
    },
    async stop() {
      agent.destroy();
      stopStatus();
      await seen?.close();
      await Promise.all([envoy, ...gateways].map((each) => each.stop()));
      grpc.forceShutdown();
      mesh.close();
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

/** What the proxy tells arrives here. */
async function startSignals(
  cuts: Parameters<typeof createSignals>[0]["cuts"],
): Promise<{ readonly room: SignalsRoom; readonly port: number; close(): unknown }> {
  const room = createSignals({ replica: "test", clock: systemClock, cuts });
  const admit = () => ({ workload: undefined });
  const { collector } = room;
  const otlp = await serveOtlp({ host: "127.0.0.1", port: 0, collector, admit, logger: silent });
  return { room, port: otlp.port, close: () => otlp.close() };
}

interface StaticResources {
  readonly static_resources: { readonly clusters: readonly object[] };
}

/** The parts of an injected proxy's bootstrap by which it tells of itself. */
function withSignals(bootstrap: object, id: string, port_value: number) {
  const { clusters } = (bootstrap as StaticResources).static_resources;
  const endpoint = { address: { socket_address: { address: "127.0.0.1", port_value } } };
  const signals = {
    name: signalsCluster,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: { cluster_name: signalsCluster, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
  };
  const telemetry = JSON.parse(
    JSON.stringify(readTelemetryBootstrap()).replaceAll(nodePlaceholder, id),
  ) as object;
  return {
    ...bootstrap,
    ...telemetry,
    stats_flush_interval: "1s",
    static_resources: { clusters: [...clusters, signals] },
  };
}

export type Traffic = Awaited<ReturnType<typeof startTraffic>>;

export function virtualService(name: string, spec: object): UnreadObject {
  return { apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: { name }, spec };
}

export function destinationRule(name: string, spec: object): UnreadObject {
  return { apiVersion: "networking.istio.io/v1", kind: "DestinationRule", metadata: { name }, spec };
}

/** An object of one of Istio's kinds in its group, e.g. `networking`. */
export function istioObject(group: string, kind: string, name: string, spec: object): UnreadObject {
  return { apiVersion: `${group}.istio.io/v1`, kind, metadata: { name }, spec };
}

function podObject(
  app: string,
  name: string,
  ip: string,
  labels: Readonly<Record<string, string>>,
  deployed = false,
) {
  const hash = "5d9c7b6f4";
  const owner = {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    name: `${app}-${hash}`,
    uid: app,
    controller: true,
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      labels: { app, ...labels, ...(deployed && { "pod-template-hash": hash }) },
      ...(deployed && { ownerReferences: [owner] }),
    },
    spec: { serviceAccountName: app },
    status: { podIP: ip },
  };
}

function serviceObject(app: string, port: object, clusterIP: string) {
  const spec = { clusterIP, selector: { app }, ports: [port] };
  return { apiVersion: "v1", kind: "Service", metadata: { name: app }, spec };
}

function sliceObject(
  app: string,
  port: { readonly name: string; readonly targetPort: number },
  pods: readonly Pod[],
) {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${app}-1`, labels: { "kubernetes.io/service-name": app } },
    addressType: "IPv4",
    ports: [{ name: port.name, port: port.targetPort }],
    endpoints: pods.map(({ metadata, status }) => ({
      addresses: [status?.podIP],
      conditions: { ready: true },
      targetRef: { kind: "Pod", name: metadata.name },
    })),
  };
}

/** Answers of `count` requests, some at a time. */
export async function many(
  count: number,
  ask: (index: number) => Promise<Answer>,
  atOnce = 48,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const index = next;
      next += 1;
      answers[index] = await ask(index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answers;
}
