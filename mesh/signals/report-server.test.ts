import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { connect } from "node:tls";
import { afterEach, expect, test } from "vitest";
import type { MetricsExport } from "../../envoy/readers/otlp-metrics.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { createRoot, readAuthority } from "../ca/authority.ts";
import { writeCertificateRequest } from "../ca/csr.ts";
import { issueCertificate } from "../ca/issue.ts";
import { serveOwnCertificate } from "../ca/server-credentials.ts";
import { admitBy } from "./authorize.ts";
import type { ReportingWorkload } from "./counts.ts";
import { serveReports } from "./report-server.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0).reverse()) stop();
});

const report = readFileSync(new URL("../../envoy/readers/testdata/report-busy.bin", import.meta.url));

interface Taken {
  readonly proxy: string;
  readonly report: MetricsExport;
  readonly self: ReportingWorkload | undefined;
}

const authority = readAuthority(createRoot("cluster.local", Date.now()));

async function start(secure: boolean) {
  const taken: Taken[] = [];
  const serving = serveOwnCertificate({
    authority: () => authority,
    names: { dns: ["localhost"], ips: ["127.0.0.1"] },
    clock: systemClock,
    logger: silent,
  });
  const workloads = new Map([
    [
      "demo/a-1",
      {
        namespace: "demo",
        pod: "a-1",
        ip: "127.0.0.1",
        labels: {},
        serviceAccount: "shop",
        facts: { workload: "shop" },
        ports: [],
        mutualTls: true,
      },
    ],
  ]);
  const server = await serveReports({
    host: "127.0.0.1",
    port: 0,
    ...(secure ? { tls: { rootPem: authority.rootPem, certificate: serving.current } } : {}),
    collector: {
      takeAttempts: () => undefined,
      takeReport: (proxy, read, self) => taken.push({ proxy, report: read, self }),
    },
    admit: admitBy(() => workloads, "cluster.local"),
    logger: silent,
  });
  stops.push(() => {
    server.close();
    serving.close();
  });
  return { taken, port: server.port };
}

/** Sends one report and gives the answer's first line; empty where the connection ends without one. */
function send(port: number, node: string, body: Buffer, serviceAccount?: string): Promise<string> {
  const head = `POST /v1/metrics HTTP/1.1\r\nhost: x\r\nx-fairlead-node: ${node}\r\ncontent-length: ${body.length}\r\n\r\n`;
  return new Promise((resolve) => {
    let answer = "";
    const socket =
      serviceAccount === undefined
        ? connectPlain({ host: "127.0.0.1", port })
        : connect({ host: "127.0.0.1", port, ca: authority.rootPem, ...clientCertificate(serviceAccount) });
    socket.write(Buffer.concat([Buffer.from(head), body]));
    socket.on("data", (bytes: Buffer) => {
      answer += bytes.toString();
      socket.destroy();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(answer.split("\r\n")[0] ?? ""));
  });
}

function clientCertificate(serviceAccount: string): { cert: string; key: string } {
  const pair = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const chain = issueCertificate(authority, {
    csr: writeCertificateRequest(pair),
    identity: { trustDomain: "cluster.local", namespace: "demo", serviceAccount },
    now: Date.now(),
  });
  return {
    cert: chain.slice(0, -1).join(""),
    key: pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

const node = "sidecar~127.0.0.1~a-1.demo~demo.svc.cluster.local";

test("a report counts for the workload of its pod, once its certificate proves the node", async () => {
  const { taken, port } = await start(true);
  expect(await send(port, node, report, "shop")).toBe("HTTP/1.1 200 OK");
  expect(taken).toMatchObject([{ proxy: node, self: { namespace: "demo", workload: "shop" } }]);
  expect(taken[0]?.report.samples.length).toBeGreaterThan(5);
});

test("another's node, no node and no certificate are refused", async () => {
  const { taken, port } = await start(true);
  expect(await send(port, node, report, "thief")).toBe("HTTP/1.1 403 Forbidden");
  expect(await send(port, "nobody", report, "shop")).toBe("HTTP/1.1 403 Forbidden");
  expect(await send(port, node, report)).toBe("");
  expect(taken).toEqual([]);
});

test("a damaged report ends its own connection and no other", async () => {
  const { taken, port } = await start(false);
  expect(await send(port, node, Buffer.from([10, 200, 1, 2, 3]))).toBe("");
  expect(await send(port, node, report)).toBe("HTTP/1.1 200 OK");
  expect(taken).toHaveLength(1);
});

test("many reports of one connection are all taken, those that come at once too", async () => {
  const { taken, port } = await start(true);
  const socket = connect({ host: "127.0.0.1", port, ca: authority.rootPem, ...clientCertificate("shop") });
  stops.push(() => socket.destroy());
  const head = `POST /v1/metrics HTTP/1.1\r\nx-fairlead-node: ${node}\r\ncontent-length: ${report.length}\r\n\r\n`;
  const request = Buffer.concat([Buffer.from(head), report]);
  let answers = "";
  const answered = (times: number) =>
    expect.poll(() => answers.split("HTTP/1.1 200 OK").length - 1, { timeout: 5000 }).toBe(times);
  socket.on("data", (bytes: Buffer) => {
    answers += bytes.toString();
  });
  socket.write(request);
  await answered(1);
  // In two pieces, while the connection waits for its next burst.
  socket.write(Buffer.concat([request, request.subarray(0, 50)]));
  await answered(2);
  socket.write(request.subarray(50));
  await answered(3);
  expect(taken).toHaveLength(3);
});
