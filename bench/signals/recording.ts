/** What a real Envoy sends of its traffic, to be sent again for many. */
import { createServer, type Server as NetServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { attemptsPath, nodeHeader } from "../../mesh/build/signals-cluster.ts";
import { PostReader } from "../../mesh/signals/receiver/post-reader.ts";
import type { AppsAnswer } from "./apps.ts";
import { startProxy } from "./envoy.ts";
import type { LoadAnswer, LoadOrder } from "./load.ts";
import type { Part } from "./process.ts";

export interface Recording {
  /** Bodies of the reports, one a second. */
  readonly reports: readonly Buffer[];
  /** Those of the log of attempts. */
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
      for (const { path, body } of reader.push(bytes)) {
        (path === attemptsPath ? attempts : reports).push(Buffer.from(body));
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
      }
    });
  });
  const envoy = await startProxy(
    { proxy: 0, sink: true, log: true, live: true },
    { ...apps, controlPlane: await listen(sink) },
  );
  try {
    await load.ask({ port: envoy.port, rate });
    await sleep(seconds * 1000);
    await load.ask({ port: 0, rate: 0 });
  } finally {
    await envoy.stop();
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
