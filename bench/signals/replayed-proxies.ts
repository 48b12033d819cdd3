/** Many proxies from one recording: each over its own connections, a report each second, attempts as they come. */
import { connect, type TLSSocket } from "node:tls";
import { attemptsPath, nodeHeader, reportsPath, signalsCluster } from "../../mesh/build/signals-cluster.ts";
import type { Certificates } from "./certificates.ts";
import { nodeId, proxies } from "./plan.ts";

export interface ReplaySetup {
  readonly certificates: Certificates;
  readonly port: number;
  /** base64, of proxy 0. */
  readonly reports: readonly string[];
  readonly attempts: readonly string[];
  /** Messages of the log of attempts that one proxy sends a second. */
  readonly attemptsPerSecond: number;
}

/** How many proxies shall tell of themselves from now on. */
export interface ReplayOrder {
  readonly start: number;
}

process.once("message", (setup: ReplaySetup) => {
  const { rootPem, workload } = setup.certificates;
  const bytes = (texts: readonly string[]) => texts.map((text) => Buffer.from(text, "base64"));
  const [reports, attempts] = [bytes(setup.reports), bytes(setup.attempts)];
  let started = 0;
  process.on("message", ({ start }: ReplayOrder) => {
    for (let proxy = started; proxy < start; proxy++) {
      setTimeout(
        () => {
          sendReports(proxy);
          sendAttempts(proxy);
        },
        (proxy * 1000) / proxies,
      );
    }
    started = start;
    process.send?.({});
  });

  /** A connection of one proxy: each of its threads has its own, reports are its main one's. */
  function open(): TLSSocket {
    const socket = connect({
      host: "127.0.0.1",
      port: setup.port,
      servername: "localhost",
      ca: rootPem,
      cert: workload.cert,
      key: workload.key,
    });
    return socket.on("data", () => undefined);
  }

  function sendReports(proxy: number): void {
    const socket = open();
    let second = 0;
    setInterval(() => {
      const round = Math.floor(second / reports.length);
      const body = reports[second % reports.length];
      second += 1;
      if (body !== undefined)
        socket.write(post(reportsPath, `${nodeHeader}: ${nodeId(proxy)}\r\n`, stampedReport(body, round)));
    }, 1000);
  }

  function sendAttempts(proxy: number): void {
    const socket = open();
    let sent = 0;
    setInterval(() => {
      const body = attempts[sent % attempts.length];
      sent += 1;
      if (body !== undefined) socket.write(post(attemptsPath, "", stampedAttempts(body, proxy)));
    }, 1000 / setup.attemptsPerSecond);
  }
});

/** A request as Envoy sends it. */
function post(path: string, header: string, body: Buffer): Buffer {
  const agent =
    "OTel-OTLP-Exporter-Envoy/9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL";
  const head = `POST ${path} HTTP/1.1\r\nhost: ${signalsCluster}\r\ncontent-type: application/x-protobuf\r\nuser-agent: ${agent}\r\n${header}x-envoy-internal: true\r\nx-forwarded-for: 192.0.2.2\r\nx-envoy-expected-rq-timeout-ms: 3000\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`;
  return Buffer.concat([Buffer.from(head), body, Buffer.from("\r\n0\r\n\r\n")]);
}

/** The recorded attempts in the name of another proxy, as of this moment. */
function stampedAttempts(body: Buffer, proxy: number): Buffer {
  const copy = Buffer.from(body);
  const name = copy.indexOf(nodeId(0));
  copy.write(nodeId(proxy), name, "latin1");
  const now = BigInt(Date.now()) * 1_000_000n;
  // A record's time (field 1), eight bytes.
  for (let at = 0; at + 9 <= copy.length; at++) {
    if (copy[at] !== 0x09 || !isTime(copy.readBigUInt64LE(at + 1))) continue;
    copy.writeBigUInt64LE(now, at + 1);
    at += 8;
  }
  return copy;
}

/** The recorded report with this moment's time; each round through the recording is another start of the proxy. */
function stampedReport(body: Buffer, round: number): Buffer {
  const copy = Buffer.from(body);
  const now = BigInt(Date.now()) * 1_000_000n;
  for (let at = 0; at + 18 <= copy.length; at++) {
    // A data point's start (field 2) and time (field 3), eight bytes each.
    if (copy[at] !== 0x11 || copy[at + 9] !== 0x19) continue;
    const start = copy.readBigUInt64LE(at + 1);
    if (!isTime(copy.readBigUInt64LE(at + 10))) continue;
    copy.writeBigUInt64LE(now, at + 10);
    if (start < 10n ** 17n) copy.writeBigUInt64LE(start + BigInt(round) * 1_000_000n, at + 1);
    at += 17;
  }
  return copy;
}

/** Whether these are nanoseconds of our days. */
function isTime(value: bigint): boolean {
  return value > 1_700_000_000_000_000_000n && value < 2_000_000_000_000_000_000n;
}
