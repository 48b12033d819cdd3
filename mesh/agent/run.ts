import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../lib/clock.ts";
import { EnvoyAdmin } from "./admin.ts";
import { adminAddress, buildBootstrap, ports } from "./bootstrap.ts";
import { keepCertificate } from "./certificates.ts";
import { type AgentConfig, readAgentConfig } from "./config.ts";
import { allTraffic, inboundTraffic, waitUntilQuiet } from "./drain.ts";
import { EnvoyProcess } from "./envoy-process.ts";
import { createAgentLog, reasonOf } from "./log.ts";
import { Readiness } from "./readiness.ts";
import { SdsServer } from "./sds-server.ts";
import { serveStatus } from "./status-server.ts";
import { readTelemetryBootstrap } from "./telemetry-bootstrap.ts";

/** A sun_path holds 108 bytes. */
const longestSocketPath = 100;

/**
 * Runs the sidecar: certificates, Envoy, health and drain, until SIGTERM or SIGINT.
 *
 * @param env what the injector wrote into the container, see {@link readAgentConfig}
 * @returns the exit code
 */
export async function runAgent(env: NodeJS.ProcessEnv, argv: readonly string[]): Promise<number> {
  const log = createAgentLog();
  const clock = systemClock;
  let config: AgentConfig;
  try {
    config = readAgentConfig(env, argv, readIfThere);
  } catch (error) {
    log.error(reasonOf(error));
    return 2;
  }
  const folders = makeFolders(config.files.state);
  const admin = new EnvoyAdmin(adminAddress(config), ports.admin);
  const readiness = new Readiness(admin);
  const sds = new SdsServer(log);
  const bootstrap = join(folders.state, "envoy.json");
  const envoy = new EnvoyProcess(
    { binary: config.envoyBinary, bootstrap, concurrency: config.concurrency, logLevel: config.logLevel },
    { folder: folders.state, clock, log, onStart: () => readiness.reset() },
  );
  const stopAsked = Promise.withResolvers<string>();
  process.on("SIGTERM", () => stopAsked.resolve("SIGTERM"));
  process.on("SIGINT", () => stopAsked.resolve("SIGINT"));

  const servers: Server[] = [];
  let certificate: { readonly close: () => void } | undefined;
  try {
    writeFileSync(
      bootstrap,
      JSON.stringify(buildBootstrap(config, folders.socket, readTelemetryBootstrap()), null, 2),
    );
    await sds.listen(folders.socket);
    const host = config.loopback ? config.podIp : "0.0.0.0";
    const handlers = {
      ...config,
      whyNotReady: () => readiness.check(),
      envoyMetrics: async () => (await admin.get("/stats/prometheus", 5_000)).body,
      drain: async () => {
        await waitUntilQuiet(admin, clock, {
          filter: inboundTraffic,
          quiet: 500,
          atLeast: 300,
          atMost: 5_000,
        });
      },
      quit: () => stopAsked.resolve("/quitquitquit"),
    };
    servers.push(
      await serveStatus(handlers, host, ports.agent),
      await serveStatus(handlers, host, ports.health),
    );
    const { caAddress, certificateLifetime: lifetime, files } = config;
    certificate = keepCertificate(
      { caAddress, tokenFile: files.token, rootFile: files.root, lifetime },
      { clock, log, onSecrets: (secrets) => sds.update(secrets) },
    );
    envoy.start();
    log.info("agent started", { pod: `${config.namespace}/${config.podName}`, ip: config.podIp });
    const reason = await stopAsked.promise;
    log.info("agent stops", { reason });
    await drainBeforeExit(admin, config.terminationDrain);
    return 0;
  } catch (error) {
    log.error("agent cannot start", { reason: reasonOf(error) });
    return 1;
  } finally {
    certificate?.close();
    await envoy.stop(2_000);
    sds.close();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    if (folders.temporary !== undefined) rmSync(folders.temporary, { recursive: true, force: true });
  }
}

/** The application is gone already (a native sidecar ends last); what it still sent may finish. */
async function drainBeforeExit(admin: EnvoyAdmin, atMost: number): Promise<void> {
  try {
    await admin.post("/drain_listeners?graceful");
  } catch {
    // Envoy does not answer, so it serves nobody
    return;
  }
  await waitUntilQuiet(admin, systemClock, { filter: allTraffic, quiet: 100, atLeast: 0, atMost });
}

interface Folders {
  readonly state: string;
  readonly socket: string;
  /** To be removed at the end. */
  readonly temporary?: string;
}

/** Bootstrap and pid file go to the pod's own volume; the socket too, unless its path would be too long. */
function makeFolders(state: string): Folders {
  mkdirSync(state, { recursive: true });
  const inside = join(state, "sds");
  const socket = join(inside, "socket");
  if (Buffer.byteLength(socket) < longestSocketPath) {
    mkdirSync(inside, { recursive: true, mode: 0o700 });
    chmodSync(inside, 0o700);
    rmSync(socket, { force: true });
    return { state, socket };
  }
  const temporary = mkdtempSync(join(tmpdir(), "fl-"));
  return { state, socket: join(temporary, "socket"), temporary };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
