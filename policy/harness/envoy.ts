import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./port.ts";

export interface Envoy {
  readonly pid: number;
  /** Path of the access log that listeners of its bootstrap may write. */
  readonly accessLog: string;
  /** The access log up to now. */
  readAccessLog(): Promise<string>;
  stop(): Promise<void>;
}

export interface EnvoyOptions {
  readonly binary: string;
  readonly concurrency?: number;
  /** Milliseconds until it must be live. */
  readonly patience?: number;
}

/**
 * Starts one Envoy with static resources, made for its access log's path, and waits until it is live.
 *
 * @throws Error with the end of its log where it does not come up
 */
export async function startEnvoy(
  staticResources: (accessLog: string) => object,
  { binary, concurrency = 1, patience = 60_000 }: EnvoyOptions,
): Promise<Envoy> {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-policy-"));
  const [admin = 0] = await freePorts(1);
  const accessLog = join(folder, "access.log");
  const log = join(folder, "envoy.log");
  writeFileSync(accessLog, "");
  writeFileSync(
    join(folder, "bootstrap.json"),
    JSON.stringify({
      admin: { address: { socketAddress: { address: "127.0.0.1", portValue: admin } } },
      staticResources: staticResources(accessLog),
    }),
  );
  const child = spawn(
    binary,
    [
      ["-c", join(folder, "bootstrap.json")],
      ["--concurrency", String(concurrency), "--disable-hot-restart"],
      ["--file-flush-interval-msec", "50", "--log-path", log, "-l", "warn"],
    ].flat(),
    { stdio: "ignore" },
  );
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = `http://127.0.0.1:${admin}`;
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + patience;
  while (!(await isLive(`${url}/ready`))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      const end = readFileSync(log, "utf8").trim().split("\n").slice(-8).join("\n");
      await stop();
      throw new Error(`envoy did not become ready:\n${end}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return {
    pid: child.pid ?? 0,
    accessLog,
    async readAccessLog() {
      await fetch(`${url}/reopen_logs`, { method: "POST" });
      return readFileSync(accessLog, "utf8");
    },
    stop,
  };
}

async function isLive(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}
