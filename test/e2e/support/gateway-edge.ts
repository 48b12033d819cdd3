/** A Gateway with a listener of each protocol in front of small services, on a real Envoy, and routes of the Gateway API. */
import { request } from "node:http";
import { until } from "../../../local/testing/until.ts";
import {
  type Echo,
  type GatewayWorld,
  type Manifest,
  makeCertificate,
  type Reply,
  replyTo,
  startGatewayWorld,
  tlsSecret,
} from "./gateway-world.ts";

export const group = "gateway.networking.k8s.io";
export const cert = makeCertificate("shop.example.com");
export const wild = makeCertificate("*.example.com");
export const raw = makeCertificate("raw.example.com");

export function object(kind: string, name: string, spec: object, more: object = {}): Manifest {
  return {
    apiVersion: `${group}/v1`,
    kind,
    metadata: { name, namespace: "demo", creationTimestamp: "2026-01-01T00:00:00Z", ...more },
    spec,
  };
}

export const parent = (sectionName: string) => [{ name: "edge", sectionName }];
export const to = (name: string, more: object = {}) => ({ name, port: 80, ...more });

export function route(name: string, hostnames: string[], rules: object[], sectionName = "http"): Manifest {
  return object("HTTPRoute", name, { parentRefs: parent(sectionName), hostnames, rules });
}

export const gateway = object("Gateway", "edge", {
  gatewayClassName: "fairlead",
  listeners: [
    { name: "http", port: 8080, protocol: "HTTP" },
    { name: "narrow", port: 8080, protocol: "HTTP", hostname: "*.narrow.example.com" },
    {
      name: "https",
      port: 8443,
      protocol: "HTTPS",
      hostname: "shop.example.com",
      tls: { certificateRefs: [{ name: "shop-cert" }] },
    },
    {
      name: "wild",
      port: 8443,
      protocol: "HTTPS",
      hostname: "*.example.com",
      tls: { certificateRefs: [{ name: "wild-cert" }] },
    },
    { name: "raw", port: 8443, protocol: "TLS", hostname: "raw.example.com", tls: { mode: "Passthrough" } },
    { name: "tcp", port: 8090, protocol: "TCP" },
    { name: "broken", port: 8444, protocol: "HTTPS", tls: { certificateRefs: [{ name: "missing" }] } },
  ],
});

function ask(
  ip: string,
  host: string,
  path = "/",
  headers: Record<string, string> = {},
  method = "GET",
  port = 8080,
): Promise<Reply> {
  const target = { host: ip, port, path, method, agent: false, headers: { host, ...headers } };
  return replyTo((answered) => request(target, answered));
}

export const echo = ({ body }: Reply): Echo => JSON.parse(body) as Echo;

/** The world, and what its tests ask of it. */
export interface Edge {
  readonly world: GatewayWorld;
  /** Of the gateway's proxy. */
  readonly ip: string;
  /** Asks the gateway, on 8080 unless another port is given. */
  ask(host: string, ...more: AskArguments): Promise<Reply>;
  /** Which service answers. */
  from(host: string, ...more: AskArguments): Promise<string>;
  /** Applies routes and waits until every proxy holds them. */
  serve(...routes: readonly Manifest[]): Promise<void>;
  /** Of a route, by type: status and reason. */
  conditions(name: string): Readonly<Record<string, string>>;
}

type AskArguments = [path?: string, headers?: Record<string, string>, method?: string, port?: number];

/** Starts it with services `a`, `b`, `c` and, by TLS, `raw`. @param net second number of its loopback addresses */
export async function startEdge(net: number): Promise<Edge> {
  const world = await startGatewayWorld(net);
  for (const name of ["a", "b", "c"]) await world.backend(name);
  await world.tlsBackend("raw", raw);
  world.put(
    {
      apiVersion: `${group}/v1`,
      kind: "GatewayClass",
      metadata: { name: "fairlead" },
      spec: { controllerName: "fairlead.dev/gateway" },
    },
    tlsSecret("shop-cert", cert),
    tlsSecret("wild-cert", wild),
    gateway,
    route("first", ["first.example.com"], [{ backendRefs: [to("a")] }]),
  );
  const ip = await world.gateway("edge-proxy", { "gateway.networking.k8s.io/gateway-name": "edge" });
  await until(
    "it serves",
    async () => (await ask(ip, "first.example.com").catch(() => undefined))?.status === 200,
    10_000,
  );
  return {
    world,
    ip,
    ask: async (host, ...more) => ask(ip, host, ...more),
    from: async (host, ...more) => echo(await ask(ip, host, ...more)).from,
    async serve(...routes) {
      world.put(...routes);
      await until("the routes are there", () =>
        routes.every((one) =>
          world.mesh.model().routes.some(({ source }) => source.name === one.metadata.name),
        ),
      );
      await world.settled();
    },
    conditions: (name) =>
      Object.fromEntries(
        (
          world.mesh.gatewayApi().statuses.routes.find(({ route: ref }) => ref.name === name)?.parents ?? []
        ).flatMap(({ conditions: all }) =>
          all.map(({ type, status, reason }) => [type, `${status} ${reason}`]),
        ),
      ),
  };
}
