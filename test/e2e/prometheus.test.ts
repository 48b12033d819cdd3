/** Built-in checks, templates and what may go wrong, on a real Prometheus (Debian's package `prometheus`). */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { measure } from "../../analysis/checks/measure.ts";
import { createPrometheus } from "../../analysis/providers/prometheus.ts";
import { createRecent } from "../../analysis/series/recent.ts";
import { readRunSettings } from "../../analysis/settings.ts";
import { readCanary } from "../../api/canary/read.ts";

const binary = findPrometheus();

/** 2 % of the canary's requests fail and all take 100 to 250 ms. */
function metricsPage(elapsed: number): string {
  const requests = Math.floor(elapsed / 10);
  const labels = 'reporter="destination",destination_workload_namespace="demo",destination_workload="shop"';
  const failed = Math.floor(requests * 0.02);
  return [
    "# TYPE istio_requests_total counter",
    `istio_requests_total{${labels},response_code="200"} ${requests - failed}`,
    `istio_requests_total{${labels},response_code="503"} ${failed}`,
    "# TYPE istio_request_duration_milliseconds histogram",
    ...[
      ["100", 0],
      ["250", requests],
      ["500", requests],
      ["+Inf", requests],
    ].map(([le, count]) => `istio_request_duration_milliseconds_bucket{${labels},le="${le}"} ${count}`),
    "",
  ].join("\n");
}

describe.skipIf(binary === undefined)(
  "a real prometheus (needs `prometheus` on PATH: apt-get install prometheus)",
  () => {
    let folder = "";
    let exporter: Server;
    let prometheus: ChildProcess;
    let address = "";

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "fairlead-prometheus-"));
      const start = Date.now();
      exporter = createServer((_, response) => response.end(metricsPage(Date.now() - start)));
      const exporterPort = await listen(exporter);
      const port = await freePort();
      address = `http://127.0.0.1:${port}`;
      const config = {
        global: { scrape_interval: "1s" },
        scrape_configs: [{ job_name: "mesh", static_configs: [{ targets: [`127.0.0.1:${exporterPort}`] }] }],
      };
      writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
      prometheus = spawn(
        binary ?? "",
        [
          `--config.file=${folder}/prometheus.yml`,
          `--storage.tsdb.path=${folder}/data`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        { stdio: "ignore" },
      );
      const rate = createPrometheus({ address });
      await until(async () => {
        const answer = await rate.query("sum(rate(istio_requests_total[10s]))");
        return answer.kind === "value" && answer.value > 0;
      });
    });

    afterAll(async () => {
      if (prometheus.exitCode === null) {
        const ended = new Promise((resolve) => prometheus.once("exit", resolve));
        prometheus.kill("SIGTERM");
        await ended;
      }
      exporter.closeAllConnections();
      exporter.close();
      rmSync(folder, { recursive: true, force: true });
    });

    test("Flagger's built-in queries and a template are measured from Istio's series", async () => {
      const { value, problems } = readCanary({
        apiVersion: "flagger.app/v1beta1",
        kind: "Canary",
        metadata: { name: "shop", namespace: "demo" },
        spec: {
          metricsServer: address,
          targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
          service: { port: 80 },
          analysis: {
            interval: "10s",
            threshold: 5,
            stepWeight: 10,
            metrics: [
              { name: "request-success-rate", interval: "10s", thresholdRange: { min: 99 } },
              { name: "request-duration", interval: "10s", thresholdRange: { max: 250 } },
              {
                name: "codes",
                templateRef: { name: "codes" },
                templateVariables: { code: "503" },
                interval: "10s",
                thresholdRange: { max: 0.1 },
              },
            ],
          },
        },
      });
      if (value === undefined) throw new Error(JSON.stringify(problems));
      const query =
        'sum(rate(istio_requests_total{\n  destination_workload="{{ target }}",response_code="{{ variables.code }}"}[{{ interval }}]))';
      const { settings } = readRunSettings(value, {
        template: () => ({
          apiVersion: "flagger.app/v1beta1",
          kind: "MetricTemplate",
          metadata: { name: "codes", namespace: "demo" },
          spec: { provider: { type: "prometheus", address }, query },
        }),
        secret: () => Promise.resolve(new Map()),
      });
      const [success, duration, codes] = await measure(
        settings.metrics,
        createRecent(60_000, 19),
        Date.now(),
        AbortSignal.timeout(10_000),
      );
      expect(success).toMatchObject({ kind: "failed", threshold: ">= 99" });
      expect(success?.value).toBeCloseTo(98, 0);
      expect(duration).toMatchObject({ kind: "passed", value: 248 });
      expect(codes?.kind).toBe("failed");
      expect(codes?.value).toBeGreaterThan(0.1);
    });

    test.for([
      ["vector(0)/0", "no-data", "the value is NaN"],
      ["vector(1)/0", "no-data", "the value is +Inf"],
      ["absent_series", "no-data", "the result is empty"],
      ["istio_requests_total", "no-data", "the query gives 2 series, not one"],
      ["istio_requests_total[1m]", "no-data", "the query gives a matrix, not one number"],
      ["sum(", "error", /^HTTP 400 bad_data: .*parse error/],
    ] as const)("%s is %s", async ([query, kind, reason]) => {
      const answer = await createPrometheus({ address }).query(query);
      expect(answer.kind).toBe(kind);
      expect("reason" in answer && answer.reason).toMatch(reason);
    });

    test("numbers are read as they are", async () => {
      expect(await createPrometheus({ address }).query("vector(1)")).toEqual({ kind: "value", value: 1 });
      expect(await createPrometheus({ address }).query("scalar(vector(2.5))")).toEqual({
        kind: "value",
        value: 2.5,
      });
    });
  },
);

function findPrometheus(): string | undefined {
  try {
    return execFileSync("which", ["prometheus"], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return portOf(server.address());
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = portOf(server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function portOf(address: ReturnType<Server["address"]>): number {
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Asks until it is so, at most 60 s. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("prometheus has no data after 60 s");
}
