/** Many proxies from one recording: each over its own connections, a report each second, attempts as they come. */
import { connect } from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials } from "@grpc/grpc-js";
import { StreamAccessLogsMessageSchema } from "../../envoy/generated/envoy/service/accesslog/v3/als_pb.js";
import { nodeHeader } from "../../mesh/build/bootstrap-telemetry.ts";
import { attemptsDefinition } from "../../mesh/signals/attempts-service.ts";
import type { Certificates } from "./certificates.ts";
import { nodeId, proxies } from "./plan.ts";

export interface ReplaySetup {
  readonly certificates: Certificates;
  readonly grpcPort: number;
  readonly reportsPort: number;
  /** base64. */
  readonly reports: readonly string[];
  readonly attempts: readonly string[];
  /** Messages of the log of attempts that one proxy sends a second. */
  readonly attemptsPerSecond: number;
}

/** How many proxies shall report from now on; 0: only connect, as all do for their configuration. */
export interface ReplayOrder {
  readonly start: number;
}

process.once("message", (setup: ReplaySetup) => {
  const { rootPem, workload } = setup.certificates;
  const channel = credentials.createSsl(
    Buffer.from(rootPem),
    Buffer.from(workload.key),
    Buffer.from(workload.cert),
  );
  const clients = Array.from(
    { length: proxies },
    () =>
      new Client(`127.0.0.1:${setup.grpcPort}`, channel, {
        "grpc.use_local_subchannel_pool": 1,
        "grpc.ssl_target_name_override": "localhost",
      }),
  );
  const messages = setup.attempts.map((text) =>
    fromBinary(StreamAccessLogsMessageSchema, Buffer.from(text, "base64")),
  );
  const reports = setup.reports.map((text) => Buffer.from(text, "base64"));

  let started = 0;
  process.on("message", async ({ start }: ReplayOrder) => {
    if (start === 0) {
      // The connection that a proxy has for its configuration anyway.
      await Promise.all(clients.map((client) => ready(client)));
    } else {
      for (const [index, client] of clients.slice(started, start).entries()) {
        const proxy = started + index;
        setTimeout(
          () => {
            sendReports(proxy);
            sendAttempts(proxy, client);
          },
          (proxy * 1000) / proxies,
        );
      }
      started = start;
    }
    process.send?.({});
  });

  function sendReports(proxy: number): void {
    const socket = connect({
      host: "127.0.0.1",
      port: setup.reportsPort,
      servername: "localhost",
      ca: rootPem,
      cert: workload.cert,
      key: workload.key,
    });
    socket.on("data", () => undefined);
    let second = 0;
    setInterval(() => {
      const round = Math.floor(second / reports.length);
      const body = reports[second % reports.length];
      second += 1;
      if (body === undefined) return;
      const head = `POST /v1/metrics HTTP/1.1\r\nhost: ${nodeHeader}\r\ncontent-type: application/x-protobuf\r\n${nodeHeader}: ${nodeId(proxy)}\r\nx-envoy-internal: true\r\nx-forwarded-for: 192.0.2.2\r\nx-envoy-expected-rq-timeout-ms: 3000\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`;
      socket.write(Buffer.concat([Buffer.from(head), stamped(body, round), Buffer.from("\r\n0\r\n\r\n")]));
    }, 1000);
  }

  function sendAttempts(proxy: number, client: Client): void {
    const { path, requestSerialize, responseDeserialize } = attemptsDefinition.streamAccessLogs;
    const stream = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      () => undefined,
    );
    let sent = 0;
    setInterval(() => {
      const message = messages[sent === 0 ? 0 : 1 + (sent % (messages.length - 1))];
      if (message === undefined || message.logEntries.case !== "httpLogs") return;
      const now = Date.now();
      const startTime = create(TimestampSchema, {
        seconds: BigInt(Math.floor(now / 1000)),
        nanos: (now % 1000) * 1_000_000,
      });
      for (const { commonProperties } of message.logEntries.value.logEntry)
        if (commonProperties) commonProperties.startTime = startTime;
      if (sent === 0 && message.identifier?.node) message.identifier.node.id = nodeId(proxy);
      sent += 1;
      stream.write(Buffer.from(toBinary(StreamAccessLogsMessageSchema, message)));
    }, 1000 / setup.attemptsPerSecond);
  }
});

function ready(client: Client): Promise<void> {
  return new Promise((resolve, reject) =>
    client.waitForReady(Date.now() + 20_000, (error) => (error ? reject(error) : resolve())),
  );
}

/** The recorded report with this moment's time; each round through the recording is another start of the proxy. */
function stamped(body: Buffer, round: number): Buffer {
  const copy = Buffer.from(body);
  const now = BigInt(Date.now()) * 1_000_000n;
  for (let at = 0; at + 18 <= copy.length; at++) {
    // A data point's start (field 2) and time (field 3), eight bytes each.
    if (copy[at] !== 0x11 || copy[at + 9] !== 0x19) continue;
    const start = copy.readBigUInt64LE(at + 1);
    const time = copy.readBigUInt64LE(at + 10);
    if (time < 1_700_000_000_000_000_000n || time > 2_000_000_000_000_000_000n) continue;
    copy.writeBigUInt64LE(now, at + 10);
    if (start < 10n ** 17n) copy.writeBigUInt64LE(start + BigInt(round) * 1_000_000n, at + 1);
    at += 17;
  }
  return copy;
}
