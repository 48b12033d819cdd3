import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

/** The real Envoy that the tests judge by, or undefined where there is none. */
export function findEnvoy(): string | undefined {
  const candidates = [
    process.env.ENVOY_BIN,
    join(homedir(), ".cache/fairlead/envoy-1.40.0/envoy/_bin/envoy"),
  ];
  return candidates.find((path) => path !== undefined && existsSync(path));
}

/** Starts an Envoy with this bootstrap (JSON). Its own words are in `log()`. */
export function startEnvoy(bootstrap: unknown): {
  process: ChildProcess;
  log(): string;
  stop(): Promise<void>;
} {
  const binary = findEnvoy();
  if (binary === undefined) throw new Error("no envoy found, set ENVOY_BIN");
  const folder = mkdtempSync(join(tmpdir(), "fairlead-envoy-"));
  const config = join(folder, "bootstrap.json");
  writeFileSync(config, JSON.stringify(bootstrap));
  const child = spawn(
    binary,
    ["-c", config, "--disable-hot-restart", "--concurrency", "1", "-l", "warning"],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-20_000);
  });
  return {
    process: child,
    log: () => log,
    stop: () =>
      new Promise((resolve) => {
        const done = () => {
          rmSync(folder, { recursive: true, force: true });
          resolve();
        };
        if (child.exitCode !== null || child.signalCode !== null) return done();
        child.once("exit", done);
        child.kill("SIGKILL");
      }),
  };
}

/** The bootstrap of a proxy that takes everything from our delta ADS on 127.0.0.1. `layer`: with our runtime layer. */
export function bootstrapFor({
  node,
  xdsPort,
  adminPort,
  layer,
}: {
  node: object;
  xdsPort: number;
  adminPort: number;
  layer: boolean;
}): object {
  const ads = { resource_api_version: "V3", ads: {}, initial_fetch_timeout: "5s" };
  return {
    node,
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } },
    dynamic_resources: {
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    ...(layer && {
      layered_runtime: {
        layers: [
          { name: "base", static_layer: {} },
          { name: "fl", rtds_layer: { name: "fl", rtds_config: ads } },
          { name: "admin", admin_layer: {} },
        ],
      },
    }),
    static_resources: {
      clusters: [
        {
          name: "xds",
          type: "STATIC",
          connect_timeout: "1s",
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: "xds",
            endpoints: [
              {
                lb_endpoints: [
                  {
                    endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: xdsPort } } },
                  },
                ],
              },
            ],
          },
        },
      ],
    },
  };
}

/** A port that nobody listens on right now. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A small HTTP service that answers every request with `text`. */
export async function startService(
  text: string,
  host = "127.0.0.1",
): Promise<{ port: number; server: Server; stop(): Promise<void> }> {
  const server = createServer((_request, response) => response.end(text));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    server,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Waits until `condition` answers something, asking every 10 ms; fails with `what` after `timeout` ms. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  timeout = 10_000,
): Promise<T> {
  const end = performance.now() + timeout;
  for (;;) {
    const answer = await condition();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(`not within ${timeout} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
