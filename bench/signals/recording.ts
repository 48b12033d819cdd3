/** What a real Envoy sends of its traffic, to be sent again for many. */
import { createServer, type Server as NetServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Server, ServerCredentials, type ServerReadableStream } from "@grpc/grpc-js";
import { nodeHeader } from "../../mesh/build/bootstrap-telemetry.ts";
import { attemptsDefinition } from "../../mesh/signals/attempts-service.ts";
import { PostReader } from "../../mesh/signals/post-reader.ts";
import type { AppsAnswer } from "./apps.ts";
import { startProxy } from "./envoy.ts";
import type { LoadAnswer, LoadOrder } from "./load.ts";
import type { Part } from "./process.ts";

export interface Recording {
  /** Bodies of the reports, one a second. */
  readonly reports: readonly Buffer[];
  /** Messages of the log of attempts, the first with the node's identity. */
  readonly attempts: readonly Buffer[];
}

/** Records `seconds` of one real Envoy that takes `rate` requests a second. */
export async function record(
  seconds: number,
  rate: number,
  apps: AppsAnswer,
  load: Part<LoadOrder, LoadAnswer>,
): Promise<Recording> {
  const reports: Buffer[] = [];
  const attempts: Buffer[] = [];
  const sink = createServer((socket) => {
    const reader = new PostReader(nodeHeader);
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => {
      for (const { body } of reader.push(bytes)) {
        reports.push(Buffer.from(body));
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
      }
    });
  });
  const reportsPort = await listen(sink);
  const log = new Server();
  log.addService(attemptsDefinition, {
    streamAccessLogs: (call: ServerReadableStream<Buffer, Buffer>) =>
      call.on("data", (bytes: Buffer) => attempts.push(Buffer.from(bytes))),
  });
  const grpcPort = await new Promise<number>((resolve, reject) =>
    log.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  const envoy = await startProxy(
    { proxy: 0, sink: true, log: true, live: true },
    { ...apps, grpcPort, reportsPort },
  );
  try {
    await load.ask({ port: envoy.port, rate });
    await sleep(seconds * 1000);
    await load.ask({ port: 0, rate: 0 });
  } finally {
    await envoy.stop();
    log.forceShutdown();
    sink.close();
  }
  // The first reports are of the start, before the traffic.
  return { reports: reports.slice(2), attempts };
}

async function listen(server: NetServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
