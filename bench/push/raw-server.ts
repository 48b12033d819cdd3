/**
 * The limit: writes a recording's bytes to as many sockets, and does nothing else. A process of its own, as the control
 * plane is one: it reads the recording on stdin and says its ports on stdout.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { adsDefinition } from "../../mesh/xds/definition.ts";
import { readDeltaRequest } from "../../mesh/xds/request.ts";
import { serveGrpc } from "../../mesh/xds/serve.ts";

/** A recording as it crosses a pipe: base64. */
export interface WrittenRecording {
  readonly first: readonly (readonly [string, string])[];
  readonly changes: readonly string[];
}

const written = JSON.parse(await text(process.stdin)) as WrittenRecording;
const first = new Map(written.first.map(([type, bytes]) => [type, Buffer.from(bytes, "base64")]));
const changes = written.changes.map((bytes) => Buffer.from(bytes, "base64"));
const streams = new Set<ServerDuplexStream<Buffer, Buffer>>();

function answer(call: ServerDuplexStream<Buffer, Buffer>): void {
  streams.add(call);
  const answered = new Set<string>();
  call.on("data", (bytes: Buffer) => {
    const { typeUrl, nonce } = readDeltaRequest(bytes);
    const response = first.get(typeUrl);
    if (nonce !== "" || answered.has(typeUrl) || response === undefined) return;
    answered.add(typeUrl);
    call.write(response);
  });
  const forget = () => streams.delete(call);
  for (const event of ["end", "cancelled", "error", "close"]) call.on(event, forget);
}

const grpc = await serveGrpc({
  plaintext: { host: "127.0.0.1", port: 0 },
  services: [
    {
      definition: adsDefinition,
      implementation: {
        DeltaAggregatedResources: answer,
        StreamAggregatedResources: (call: ServerDuplexStream<Buffer, Buffer>) =>
          call.emit("error", { code: status.UNIMPLEMENTED, details: "only delta" }),
      },
    },
  ],
});

// The first change of the tool comes before its clients: it is what `first` holds.
let next = -1;
const api = createServer((request, response) => {
  request.resume().on("end", () => {
    response.end("{}");
    const change = changes[next];
    next += 1;
    if (change !== undefined) for (const stream of streams) stream.write(change);
  });
});
await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
const { port } = api.address() as AddressInfo;
process.stdout.write(`${JSON.stringify({ ads: grpc.ports.plaintext, api: port })}\n`);
