/** A real Prometheus (Debian's package `prometheus`) on a free port, with its data in a folder of the test's. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const prometheusMissing: boolean = findPrometheus() === undefined;

export interface RunningPrometheus {
  readonly address: string;
  /** Scrapes these (`host:port`) each second from now on, and no others. */
  scrape(targets: readonly string[], path: string): void;
  stop(): Promise<void>;
}

/**
 * Starts it and waits until it is ready.
 *
 * @param options.samples OpenMetrics text with timestamps, which it holds from the start
 */
export async function startPrometheus(
  options: { readonly samples?: string } = {},
): Promise<RunningPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-prometheus-"));
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const targetsFile = join(folder, "targets.json");
  const config = {
    global: { scrape_interval: "1s" },
    scrape_configs: [
      { job_name: "mesh", file_sd_configs: [{ files: [targetsFile], refresh_interval: "1s" }] },
    ],
  };
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
  if (options.samples !== undefined) {
    writeFileSync(join(folder, "samples.txt"), options.samples);
    execFileSync(
      "promtool",
      ["tsdb", "create-blocks-from", "openmetrics", `${folder}/samples.txt`, `${folder}/data`],
      {
        stdio: "ignore",
      },
    );
  }
  const scrape = (targets: readonly string[], path: string): void => {
    // Written whole: a file that is read half is none.
    writeFileSync(`${targetsFile}.new`, JSON.stringify([{ targets, labels: { __metrics_path__: path } }]));
    renameSync(`${targetsFile}.new`, targetsFile);
  };
  const child = spawn(
    findPrometheus() ?? "prometheus",
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: "ignore" },
  );
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const ready = await fetch(`${address}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return { address, scrape, stop };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await stop();
  throw new Error("prometheus is not ready after 60 s");
}

function findPrometheus(): string | undefined {
  try {
    return execFileSync("which", ["prometheus"], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
