import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyBinary, envoyMissing } from "../../test/support/envoy.ts";
import {
  type PodOnLoopback,
  preparePod,
  type Resources,
  startAgentProcess,
  startControlPlane,
} from "./testbed.ts";

const net = `127.${200 + (process.pid % 50)}`;
const ips = { controlPlane: `${net}.0.1`, client: `${net}.1.1`, server: `${net}.1.2`, app: `${net}.129.2` };

function secret(name: string) {
  return {
    name,
    sds_config: {
      resource_api_version: "V3",
      api_config_source: {
        api_type: name === "default" ? "GRPC" : "DELTA_GRPC",
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "sds-grpc" } }],
      },
    },
  };
}

function listener(
  ip: string,
  port: number,
  statPrefix: string,
  cluster: string,
  transport?: object,
): Resources[number] {
  const manager = {
    "@type":
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: statPrefix,
    forward_client_cert_details: "APPEND_FORWARD",
    set_current_client_cert_details: { subject: true, uri: true },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          request_headers_to_add: [
            { header: { key: `x-${statPrefix}-peer`, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" } },
          ],
          routes: [{ match: { prefix: "/" }, route: { cluster } }],
        },
      ],
    },
  };
  return {
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
    name: `${ip}_${port}`,
    address: { socket_address: { address: ip, port_value: port } },
    filter_chains: [
      {
        filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }],
        ...(transport
          ? { transport_socket: { name: "envoy.transport_sockets.tls", typed_config: transport } }
          : {}),
      },
    ],
  } as Resources[number];
}

function cluster(name: string, address: string, transport?: object): Resources[number] {
  return {
    "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [
        { lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value: 8080 } } } }] },
      ],
    },
    ...(transport
      ? { transport_socket: { name: "envoy.transport_sockets.tls", typed_config: transport } }
      : {}),
  } as Resources[number];
}

function tls(kind: "UpstreamTlsContext" | "DownstreamTlsContext", peer: string, more: object) {
  return {
    "@type": `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${kind}`,
    ...more,
    common_tls_context: {
      tls_certificate_sds_secret_configs: [secret("default")],
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: peer } }],
        },
        validation_context_sds_secret_config: secret("ROOTCA"),
      },
    },
  };
}

const serverId = "spiffe://cluster.local/ns/shop/sa/server";
const clientId = "spiffe://cluster.local/ns/shop/sa/client";
const resources: Record<string, Resources> = {
  "client-1.shop": [
    cluster("outbound|8080||server", ips.server, tls("UpstreamTlsContext", serverId, { sni: "server" })),
    listener(ips.client, 15080, "outbound", "outbound|8080||server"),
  ],
  "server-1.shop": [
    cluster("inbound|8080||", ips.app),
    listener(
      ips.server,
      8080,
      "inbound_8080",
      "inbound|8080||",
      tls("DownstreamTlsContext", clientId, { require_client_certificate: true }),
    ),
  ],
};

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(host: string, port: number, path: string, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host, port, path, method, agent: false, timeout: 6_000 }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer")));
    sent.on("error", reject);
    sent.end();
  });
}

function ready(ip: string): Promise<boolean> {
  return ask(ip, 15021, "/healthz/ready").then(
    ({ status }) => status === 200,
    () => false,
  );
}

describe.skipIf(envoyMissing !== undefined)("two sidecars with real Envoys", () => {
  const folder = mkdtempSync(join(tmpdir(), "agent-"));
  let plane: Awaited<ReturnType<typeof startControlPlane>>;
  let app: Server;
  let delay = 0;
  let seen: IncomingHttpHeaders = {};
  const agents: ReturnType<typeof startAgentProcess>[] = [];

  function pod(name: "client" | "server", more: Partial<PodOnLoopback> = {}): NodeJS.ProcessEnv {
    return preparePod({
      name: `${name}-1`,
      ip: ips[name],
      namespace: "shop",
      serviceAccount: name,
      controlPlane: ips.controlPlane,
      rootPem: plane.authority.rootPem,
      envoy: envoyBinary,
      folder: join(folder, name),
      ...more,
    });
  }

  beforeAll(async () => {
    plane = await startControlPlane(ips.controlPlane, resources, {
      client: { workload: "client", app: "client", version: "v1" },
    });
    app = createServer((request, response) => {
      seen = request.headers;
      if (request.url === "/metrics") return response.end("app_requests_total 7");
      setTimeout(() => response.writeHead(request.url === "/healthz" ? 299 : 200).end("hello"), delay);
    });
    await new Promise<void>((resolve) => app.listen(8080, ips.app, resolve));
    const probes = {
      "/app-health/web/readyz": { httpGet: { path: "/healthz", port: 8080 } },
      "/app-health/web/livez": { tcpSocket: { port: 8080 } },
      "/app-health/web/startupz": { tcpSocket: { port: 8099 } },
    };
    agents.push(
      startAgentProcess(pod("client", { env: { SECRET_TTL: "5s" } })),
      startAgentProcess(
        pod("server", {
          env: {
            ISTIO_KUBE_APP_PROBERS: JSON.stringify(probes),
            ISTIO_PROMETHEUS_ANNOTATIONS: JSON.stringify({ scrape: "true", port: "8080", path: "/metrics" }),
          },
        }),
      ),
    );
    try {
      await until(
        "both sidecars are ready",
        async () => (await ready(ips.client)) && (await ready(ips.server)),
        15_000,
      );
    } catch (error) {
      throw new Error(agents.map((agent) => agent.log()).join("\n---\n"), { cause: error });
    }
  }, 20_000);

  afterAll(async () => {
    for (const { process } of agents) process.kill("SIGTERM");
    await Promise.all(agents.map(({ exited }) => exited));
    app.close();
    plane.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 20_000);

  test("speak mTLS, each with its own identity and address", async () => {
    const answer = await ask(ips.client, 15080, "/");
    expect(answer).toEqual({ status: 200, body: "hello" });
    expect(seen["x-forwarded-client-cert"]).toContain(
      `Subject="CN=client,OU=v1,OU=client,O=shop";URI=${clientId}`,
    );
    expect(seen["x-inbound_8080-peer"]).toBe(ips.client);
    expect(plane.peers).toEqual(
      new Map([
        ["client-1.shop", `URI:${clientId}`],
        ["server-1.shop", `URI:${serverId}`],
      ]),
    );
  });

  test("refuse a plaintext request", async () => {
    await expect(ask(ips.server, 8080, "/")).rejects.toThrow();
  });

  test("answer the application's probes without mTLS, with its own status", async () => {
    expect((await ask(ips.server, 15020, "/app-health/web/readyz")).status).toBe(299);
    expect((await ask(ips.server, 15020, "/app-health/web/livez")).status).toBe(200);
    expect((await ask(ips.server, 15020, "/app-health/web/startupz")).status).toBe(500);
    expect((await ask(ips.server, 15020, "/app-health/__proto__/readyz")).status).toBe(404);
  });

  test("merge the application's metrics page with Envoy's", async () => {
    const { body } = await ask(ips.server, 15020, "/stats/prometheus");
    expect(body).toContain("envoy_server_live");
    expect(body).toContain("app_requests_total 7\n");
    expect((await ask(ips.server, 15090, "/stats/prometheus")).body).toContain("envoy_server_live");
    expect((await ask(ips.server, 15090, "/quitquitquit", "POST")).status).toBe(404);
  });

  test("answer /drain when the last request is done, and keep serving", async () => {
    delay = 900;
    const running = ask(ips.client, 15080, "/slow");
    const start = performance.now();
    await until("the request is in flight", async () => (await active()) > 0);
    expect((await ask(ips.server, 15020, "/drain")).status).toBe(200);
    expect((await running).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThan(1_300);
    expect(performance.now() - start).toBeLessThan(3_500);
    delay = 0;
    expect((await ask(ips.client, 15080, "/")).status).toBe(200);
  });

  async function active(): Promise<number> {
    const { body } = await ask(ips.server, 15000, "/stats?filter=inbound.*rq_active");
    return Number(/: (\d+)/.exec(body)?.[1] ?? 0);
  }

  test("renew their certificates while they serve", async () => {
    const serial = async () => {
      const { body } = await ask(ips.client, 15000, "/certs");
      return body.match(/"serial_number": "[0-9a-f]+"/g)?.join();
    };
    const before = await serial();
    await until("envoy has another certificate", async () => {
      expect((await ask(ips.client, 15080, "/")).status).toBe(200);
      return (await serial()) !== before;
    });
  });

  test("bring Envoy back when it dies", async () => {
    const pidFile = join(folder, "server/_etc_istio_proxy/envoy.pid");
    const before = readFileSync(pidFile, "utf8");
    process.kill(Number(before), "SIGKILL");
    await until("a new Envoy is ready", async () => {
      const now = await readIfThere(pidFile);
      return now !== undefined && now !== before && (await ready(ips.server));
    });
    await until("requests pass again", async () => (await ask(ips.client, 15080, "/")).status === 200);
  });

  test("leave no Envoy behind when the agent is killed, and start again", async () => {
    const agent = agents[1];
    const envoyPid = readFileSync(join(folder, "server/_etc_istio_proxy/envoy.pid"), "utf8");
    agent?.process.kill("SIGKILL");
    await agent?.exited;
    agents[1] = startAgentProcess(pod("server"));
    await until("the new sidecar is ready", () => ready(ips.server));
    expect(await commandLine(envoyPid)).not.toContain("envoy");
    await until("requests pass again", async () => (await ask(ips.client, 15080, "/")).status === 200);
  });

  // by now the compile cache holds the agent, as on any machine that ran one before
  test("cost less than 70 MB of memory for the agent", () => {
    const rss =
      Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${agents[1]?.process.pid}/status`, "utf8"))?.[1]) /
      1024;
    expect(rss).toBeLessThan(70);
  });

  test("end on SIGTERM, and on /quitquitquit from the pod itself", async () => {
    const [client] = agents;
    expect((await ask(ips.client, 15020, "/quitquitquit")).status).toBe(405);
    expect((await ask(ips.client, 15020, "/quitquitquit", "POST")).status).toBe(200);
    expect(await client?.exited).toBe(0);
  });
});

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

async function commandLine(pid: string): Promise<string> {
  return (await readIfThere(`/proc/${pid}/cmdline`)) ?? "";
}
