import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import type { Worker } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import type { MetricsExport } from "../../envoy/readers/otlp-metrics.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { createRoot, readAuthority } from "../ca/authority.ts";
import { writeCertificateRequest } from "../ca/csr.ts";
import { issueCertificate } from "../ca/issue.ts";
import { serveOwnCertificate } from "../ca/server-credentials.ts";
import type { AttemptEntry } from "./attempt-entry.ts";
import { admitBy } from "./authorize.ts";
import type { ReportingWorkload } from "./counts.ts";
import { serveOtlp } from "./otlp-server.ts";

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const recorded = (name: string): Buffer =>
  readFileSync(new URL(`../../envoy/readers/testdata/${name}.bin`, import.meta.url));
const report = recorded("report-busy");
const attempts = recorded("attempts");
/** Who sent them. */
const node = "sidecar~127.0.0.1~p-0000.demo~demo.svc.cluster.local";

interface Taken {
  readonly proxy: string;
  readonly report?: MetricsExport;
  readonly self?: ReportingWorkload | undefined;
  readonly entries?: readonly AttemptEntry[];
}

const authority = readAuthority(createRoot("cluster.local", Date.now()));

async function start(secure: boolean, port = 0) {
  const taken: Taken[] = [];
  const takenAt: number[] = [];
  const take = (one: Taken) => {
    taken.push(one);
    takenAt.push(performance.now());
  };
  const serving = serveOwnCertificate({
    authority: () => authority,
    names: { dns: ["localhost"], ips: ["127.0.0.1"] },
    clock: systemClock,
    logger: silent,
  });
  const workloads = new Map([
    [
      "demo/p-0000",
      {
        namespace: "demo",
        pod: "p-0000",
        ip: "127.0.0.1",
        labels: {},
        serviceAccount: "shop",
        facts: { workload: "shop" },
        ports: [],
        mutualTls: true,
      },
    ],
  ]);
  const server = await serveOtlp({
    host: "127.0.0.1",
    port,
    ...(secure ? { tls: { rootPem: authority.rootPem, certificate: serving.current } } : {}),
    collector: {
      takeAttempts: (proxy, entries) => take({ proxy, entries }),
      takeReport: (proxy, read, self) => take({ proxy, report: read, self }),
    },
    admit: admitBy(() => workloads, "cluster.local"),
    logger: silent,
  });
  stops.push(() => serving.close());
  stops.push(() => server.close());
  return { taken, takenAt, port: server.port };
}

interface Sent {
  readonly path?: string;
  /** What the head names; none where it is empty. */
  readonly named?: string;
  readonly body?: Buffer;
  /** Whose certificate is shown; none: plain text. */
  readonly serviceAccount?: string;
}

const withoutHead = { path: "/v1/logs", named: "", body: attempts };

function request({ path = "/v1/metrics", named = node, body = report }: Sent = {}): Buffer {
  const header = named === "" ? "" : `x-fairlead-node: ${named}\r\n`;
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\n${header}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Sends one message and gives the answer's first line; empty where the connection ends without one. */
function send(port: number, sent: Sent = {}): Promise<string> {
  const { serviceAccount } = sent;
  return new Promise((resolve) => {
    let answer = "";
    const socket =
      serviceAccount === undefined
        ? connectPlain({ host: "127.0.0.1", port })
        : connect({ host: "127.0.0.1", port, ca: authority.rootPem, ...clientCertificate(serviceAccount) });
    socket.write(request(sent));
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

test("a report counts for the workload of its pod, once its certificate proves the node", async () => {
  const { taken, port } = await start(true);
  expect(await send(port, { serviceAccount: "shop" })).toBe("HTTP/1.1 200 OK");
  expect(taken).toMatchObject([{ proxy: node, self: { namespace: "demo", workload: "shop" } }]);
  expect(taken[0]?.report?.samples.length).toBeGreaterThan(5);
});

test("attempts are taken in the name of the node that they name, once its certificate proves it", async () => {
  const { taken, port } = await start(true);
  expect(await send(port, { ...withoutHead, serviceAccount: "shop" })).toBe("HTTP/1.1 200 OK");
  expect(taken.map(({ proxy }) => proxy)).toEqual([node]);
  expect(taken[0]?.entries?.map(({ status, grpcStatus }) => [status, grpcStatus])).toEqual([
    ...Array.from({ length: 6 }, () => [200, 14]),
    [200, undefined],
    [503, undefined],
  ]);
});

test.for([
  ["a report in another's name", { serviceAccount: "thief" }, "HTTP/1.1 403 Forbidden"],
  ["attempts in another's name", { ...withoutHead, serviceAccount: "thief" }, "HTTP/1.1 403 Forbidden"],
  ["a node that is none", { named: "nobody", serviceAccount: "shop" }, "HTTP/1.1 403 Forbidden"],
  ["another path", { path: "/v1/traces", serviceAccount: "shop" }, "HTTP/1.1 404 Not Found"],
  ["no certificate", {}, ""],
] as const)("%s is refused", async ([, sent, answer]) => {
  const { taken, port } = await start(true);
  expect(await send(port, sent)).toBe(answer);
  expect(taken).toEqual([]);
});

test.for([
  ["a report", { body: Buffer.from([10, 200, 1, 2, 3]) }],
  ["a log", { ...withoutHead, body: attempts.subarray(0, 700) }],
  [
    "an entry",
    { ...withoutHead, body: Buffer.from(attempts.toString("latin1").replaceAll("\t", " "), "latin1") },
  ],
] as const)("%s that is damaged ends its own connection and no other", async ([, sent]) => {
  const { taken, port } = await start(false);
  expect(await send(port, sent)).toBe("");
  expect(await send(port)).toBe("HTTP/1.1 200 OK");
  expect(taken).toHaveLength(1);
});

/** A proxy's connection, and how often it was answered so far. */
function open(port: number) {
  const socket = connect({ host: "127.0.0.1", port, ca: authority.rootPem, ...clientCertificate("shop") });
  stops.push(() => socket.destroy());
  let answers = "";
  socket.on("data", (bytes: Buffer) => {
    answers += bytes.toString();
  });
  return {
    socket,
    answered: (times: number) =>
      expect.poll(() => answers.split("HTTP/1.1 200 OK").length - 1, { timeout: 5000 }).toBe(times),
  };
}

test("many messages of one connection are all taken, those that come at once or in pieces too", async () => {
  const { taken, port } = await start(true);
  const { socket, answered } = open(port);
  const one = request();
  socket.write(one);
  await answered(1);
  socket.write(Buffer.concat([one, request(withoutHead), one.subarray(0, 50)]));
  await answered(3);
  socket.write(one.subarray(50));
  await answered(4);
  expect(taken.map(({ report }) => report !== undefined)).toEqual([true, true, false, true]);
});

test("where many messages come they are read in turns, and all are taken", async () => {
  const { taken, takenAt, port } = await start(true);
  const proxies = [open(port), open(port), open(port)];
  let sent = 0;
  for (const until = Date.now() + 3500; Date.now() < until; sent += 1) {
    for (const { socket } of proxies) socket.write(request(sent % 2 === 0 ? {} : withoutHead));
    await sleep(20);
  }
  for (const { answered } of proxies) await answered(sent);
  expect(taken).toHaveLength(3 * sent);
  const reports = taken.filter(({ report: found }) => found !== undefined);
  expect(reports).toHaveLength(3 * Math.ceil(sent / 2));
  // Sent each 20 ms, taken each 100 ms once a second has shown how many they are.
  const pauses = takenAt.slice(1).map((at, index) => at - (takenAt[index] ?? at));
  expect(pauses.filter((pause) => pause > 60).length).toBeGreaterThan(8);
});

test("a port that is taken is named", async () => {
  const { port } = await start(false);
  await expect(start(false, port)).rejects.toThrow(
    `cannot listen on 127.0.0.1:${port}: stop what listens there or name another port`,
  );
});

test("should its thread die, another takes its place", async () => {
  const threads: Worker[] = [];
  const keep = (thread: Worker) => threads.push(thread);
  process.on("worker", keep);
  stops.push(() => process.off("worker", keep));
  const { taken, port } = await start(true);
  await threads[0]?.terminate();
  await expect
    .poll(() => send(port, { serviceAccount: "shop" }), { timeout: 5000, interval: 100 })
    .toBe("HTTP/1.1 200 OK");
  expect(taken).toHaveLength(1);
  expect(threads).toHaveLength(2);
});
