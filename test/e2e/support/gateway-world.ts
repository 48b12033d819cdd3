/** A mesh in this process over objects in memory, real gateway proxies, and small services behind them. */
import { mkdtempSync, rmSync } from "node:fs";
import {
  type ClientRequest,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { KubeObject } from "../../../api/resource.ts";
import { systemClock } from "../../../lib/clock.ts";
import { silent } from "../../../lib/log.ts";
import { until } from "../../../local/testing/until.ts";
import { preparePod, startAgentProcess } from "../../../mesh/agent/testbed.ts";
import { createRoot, readAuthority } from "../../../mesh/ca/authority.ts";
import { serveOwnCertificate } from "../../../mesh/ca/server-credentials.ts";
import { certificateServiceDefinition, certificateServiceImplementation } from "../../../mesh/ca/service.ts";
import type { MeshOptions } from "../../../mesh/contract.ts";
import { createPolicyFilters, policyKinds } from "../../../mesh/policy-filters.ts";
import { startMesh } from "../../../mesh/start.ts";
import { createMemoryInformers } from "../../../mesh/testbed/informers.ts";
import { serveGrpc } from "../../../mesh/xds/serve.ts";
import { defaultMesh } from "../../../policy/compile/mesh.ts";
import { envoyBinary } from "../../support/envoy.ts";

export type Manifest = KubeObject & Record<string, unknown>;

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

/** A service that answers with its name and what it was asked, as JSON. */
export interface Echo {
  readonly from: string;
  readonly path: string;
  readonly host: string;
  readonly headers: IncomingHttpHeaders;
}

/** A pair of certificate and key for these names, with the root that signed it: all PEM. */
export function makeCertificate(...dns: readonly string[]) {
  const authority = readAuthority(createRoot("cluster.local", Date.now()));
  const serving = serveOwnCertificate({
    authority: () => authority,
    names: { dns, ips: [] },
    clock: systemClock,
    logger: silent,
  });
  const { cert, key } = serving.current();
  serving.close();
  return { cert: `${cert}${authority.rootPem}`, key, root: authority.rootPem };
}

/** A Secret of type kubernetes.io/tls. */
export function tlsSecret(
  name: string,
  { cert, key }: { readonly cert: string; readonly key: string },
  more = {},
): Manifest {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: "demo" },
    type: "kubernetes.io/tls",
    data: { "tls.crt": base64(cert), "tls.key": base64(key), ...more },
  };
}

/** Starts it on loopback addresses `127.<net>.x.y`; `stop` ends everything. */
export async function startGatewayWorld(net: number, options: Partial<MeshOptions> = {}) {
  const controlPlane = `127.${net}.0.1`;
  const folder = mkdtempSync(join(tmpdir(), "fairlead-gateway-"));
  const informers = createMemoryInformers([]);
  const stops: (() => unknown)[] = [];
  const agents: ReturnType<typeof startAgentProcess>[] = [];
  const authority = readAuthority(createRoot("cluster.local", Date.now()));
  const serving = serveOwnCertificate({
    authority: () => authority,
    names: { dns: ["istiod.istio-system.svc"], ips: [controlPlane] },
    clock: systemClock,
    logger: silent,
  });
  const mesh = await startMesh({
    logger: silent,
    clock: systemClock,
    removalDelay: 200,
    policyFilters: createPolicyFilters({
      snapshot: () => informers.snapshot(),
      settings: () => defaultMesh,
    }),
    policyKinds,
    ...options,
    informers,
  });
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
  const grpc = await serveGrpc({
    tls: { host: controlPlane, port: 15012, credentials: serving.credentials },
    services: [...mesh.services, certificates],
  });
  let next = 0;

  const put = (...objects: readonly Manifest[]) => {
    for (const object of objects) informers.put(object);
  };

  function pod(name: string, ip: string, labels: Record<string, string>): Manifest {
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "demo", labels },
      spec: { serviceAccountName: name, containers: [{ name: "app", ports: [] }] },
      status: { podIP: ip },
    };
  }

  /** A Service of one address. */
  function service(
    name: string,
    ip: string,
    port: number,
    more: { portName?: string; servicePort?: number; appProtocol?: string } = {},
  ): Manifest[] {
    const portName = more.portName ?? "http";
    const { appProtocol } = more;
    return [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name, namespace: "demo" },
        spec: {
          clusterIP: "None",
          ports: [
            {
              name: portName,
              port: more.servicePort ?? 80,
              targetPort: port,
              ...(appProtocol && { appProtocol }),
            },
          ],
        },
      },
      {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name: `${name}-1`, namespace: "demo", labels: { "kubernetes.io/service-name": name } },
        ports: [{ name: portName, port }],
        endpoints: [{ addresses: [ip], conditions: { ready: true } }],
      },
    ];
  }

  /** The pod's agent with its Envoy; resolves when it is connected. */
  async function start(
    name: string,
    ip: string,
    args: readonly string[],
    more: Readonly<Record<string, string>>,
  ): Promise<void> {
    const env = preparePod({
      name,
      ip,
      namespace: "demo",
      serviceAccount: name,
      controlPlane,
      rootPem: authority.rootPem,
      envoy: envoyBinary,
      folder: join(folder, name),
      env: more,
    });
    const agent = startAgentProcess(env, args);
    agents.push(agent);
    const connected = () => mesh.connectedProxies().some(({ proxy }) => proxy.pod === name);
    await until(`proxy ${name} connects`, connected, 20_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${agent.log().slice(-3000)}`);
    });
  }

  return {
    mesh,
    informers,
    put,
    service,
    /** The service `name` on port 8080 of an address of its own, with the Service in front of it. */
    async backend(name: string): Promise<string> {
      next += 1;
      const ip = `127.${net}.2.${next}`;
      const server: Server = createServer(({ url, headers }, response) => {
        const echo: Echo = { from: name, path: url ?? "", host: headers.host ?? "", headers };
        response.end(JSON.stringify(echo));
      });
      await new Promise<void>((resolve) => server.listen(8080, ip, resolve));
      stops.push(() => {
        server.closeAllConnections();
        server.close();
      });
      put(...service(name, ip, 8080));
      return ip;
    },
    /** The same over TLS with a certificate of its own, on port 8443. @param requireClient PEM of the clients' root */
    async tlsBackend(
      name: string,
      pair: { readonly cert: string; readonly key: string },
      requireClient?: string,
    ): Promise<string> {
      next += 1;
      const ip = `127.${net}.2.${next}`;
      const asking = { requestCert: true, rejectUnauthorized: true, ca: requireClient };
      const server = createTlsServer({ ...pair, ...(requireClient && asking) }, (socket) => {
        socket.on("error", () => socket.destroy());
        socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${name}`));
      });
      await new Promise<void>((resolve) => server.listen(8443, ip, resolve));
      stops.push(() => server.close());
      put(...service(name, ip, 8443, { portName: "https", servicePort: 443 }));
      return ip;
    },
    /** A pod with a sidecar, an application on port 8080 and a Service in front; resolves with its address. */
    async sidecar(name: string): Promise<string> {
      next += 1;
      const ip = `127.${net}.1.${next}`;
      const app = `127.${net}.129.${next}`;
      const server: Server = createServer((_request, response) => response.end(name));
      await new Promise<void>((resolve) => server.listen(8080, app, resolve));
      stops.push(() => {
        server.closeAllConnections();
        server.close();
      });
      const labels = { app: name, "security.istio.io/tlsMode": "istio" };
      const [service_, slice] = service(name, ip, 8080);
      put(pod(name, ip, labels));
      if (service_ !== undefined && slice !== undefined) {
        const spec = { ...Object(service_.spec), selector: { app: name } };
        const targetRef = { kind: "Pod", namespace: "demo", name };
        put(
          { ...service_, spec },
          { ...slice, endpoints: [{ addresses: [ip], conditions: { ready: true }, targetRef }] },
        );
      }
      await start(name, ip, [], { FAIRLEAD_APP_ADDRESS: app });
      return ip;
    },
    /** A gateway's proxy with these labels; resolves with its address once it is connected. */
    async gateway(name: string, labels: Record<string, string>): Promise<string> {
      next += 1;
      const ip = `127.${net}.1.${next}`;
      put(pod(name, ip, labels));
      await start(name, ip, ["router"], {});
      return ip;
    },
    settled: () =>
      until("all proxies hold all", () => mesh.connectedProxies().every(({ synced }) => synced), 10_000),
    log: () => agents.map((agent) => agent.log()).join("\n"),
    async stop(): Promise<void> {
      for (const agent of agents) agent.process.kill("SIGKILL");
      await Promise.all(agents.map((agent) => agent.exited));
      mesh.close();
      serving.close();
      grpc.close();
      for (const stop of stops) stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type GatewayWorld = Awaited<ReturnType<typeof startGatewayWorld>>;

/** The answer to a request that `send` begins; rejects where none comes within 5 s. */
export function replyTo(
  send: (answered: (response: IncomingMessage) => void) => ClientRequest,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = send((response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
      );
      response.on("error", reject);
    });
    sent.setTimeout(5_000, () => sent.destroy(new Error("no answer")));
    sent.on("error", reject);
    sent.end();
  });
}

/** One request over TLS to an address, by server name. */
export function askTls(options: {
  readonly ip: string;
  readonly port: number;
  readonly name: string;
  readonly root: string;
  readonly path?: string;
  readonly host?: string;
  readonly client?: { readonly cert: string; readonly key: string };
}): Promise<Reply> {
  const { ip, port, name, root, path = "/", host = name, client } = options;
  const target = { host: ip, port, path, servername: name, ca: root, agent: false, headers: { host } };
  return replyTo((answered) => httpsRequest({ ...target, ...client }, answered));
}

/** Who stands behind a server name when nobody on the way ends TLS: the certificate's own root tells. @param protocol offered by ALPN */
export function peerOf(
  ip: string,
  port: number,
  name: string,
  root: string,
  protocol?: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const alpn = protocol === undefined ? {} : { ALPNProtocols: [protocol] };
    const socket = connectTls({ host: ip, port, servername: name, ca: root, ...alpn }, () => {
      socket.write("GET / HTTP/1.1\r\n\r\n");
    });
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on("end", () => resolve(text.split("\r\n\r\n")[1] ?? ""));
    socket.on("error", reject);
    socket.setTimeout(5_000, () => socket.destroy(new Error("no answer")));
  });
}
