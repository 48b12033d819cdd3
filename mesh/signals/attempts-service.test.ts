import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerReadableStream,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StreamAccessLogsMessageSchema } from "../../envoy/generated/envoy/service/accesslog/v3/als_pb.js";
import { silent } from "../../lib/log.ts";
import { type GrpcServer, serveGrpc } from "../xds/serve.ts";
import { attemptsDefinition, attemptsService } from "./attempts-service.ts";
import { readBeneath } from "./message-stream.ts";

const node = "sidecar~10.0.0.1~p-0.demo~demo.svc.cluster.local";
const { path, requestSerialize, responseDeserialize } = attemptsDefinition.streamAccessLogs;

const taken: { readonly proxy: string; readonly clusters: readonly string[] }[] = [];
const beneath: boolean[] = [];
let server: GrpcServer;
let client: Client;

const logs = attemptsService(
  {
    takeAttempts: (proxy, entries) => {
      taken.push({ proxy, clusters: entries.map(({ upstreamCluster }) => upstreamCluster) });
    },
    takeReport: () => undefined,
  },
  (_, nodeId) => (nodeId === node ? { workload: undefined } : { refused: "another's certificate" }),
  silent,
);

beforeAll(async () => {
  const probe = {
    definition: { stream: { ...attemptsDefinition.streamAccessLogs, path: "/probe/stream" } },
    implementation: {
      stream: (call: ServerReadableStream<Buffer, Buffer>, answer: (error: null, bytes: Buffer) => void) => {
        beneath.push(readBeneath(call, () => undefined));
        call.on("end", () => answer(null, Buffer.alloc(0)));
      },
    },
  };
  server = await serveGrpc({ plaintext: { host: "127.0.0.1", port: 0 }, services: [logs, probe] });
  client = new Client(`127.0.0.1:${server.ports.plaintext}`, credentials.createInsecure());
});

afterAll(() => {
  client.close();
  server.close();
});

function open(at = path, caller = client) {
  let ended: (error: ServiceError | null) => void = () => undefined;
  const answer = new Promise<ServiceError | null>((resolve) => {
    ended = resolve;
  });
  const stream = caller.makeClientStreamRequest(at, requestSerialize, responseDeserialize, (error) =>
    ended(error),
  );
  return { stream, answer };
}

/** A message of one attempt, and with a node as Envoy sends its own, of `size` bytes. */
function message(cluster: string, id?: string, size = 0): Buffer {
  const text = create(StreamAccessLogsMessageSchema, {
    ...(id && { identifier: { node: { id, userAgentName: "x".repeat(size) } } }),
    logEntries: {
      case: "httpLogs",
      value: { logEntry: [{ commonProperties: { upstreamCluster: cluster } }] },
    },
  });
  return Buffer.from(toBinary(StreamAccessLogsMessageSchema, text));
}

describe("the service for attempts", () => {
  test("takes what every stream brings, in order, also when the first message comes in many parts", async () => {
    taken.length = 0;
    const streams = Array.from({ length: 5 }, () => open());
    for (const { stream } of streams) stream.write(message("first", node, 300_000));
    for (let turn = 0; turn < 20; turn++) {
      for (const { stream } of streams) stream.write(message(`turn ${turn}`));
      if (turn % 5 === 0) await turnOfTheLoop();
    }
    for (const { stream } of streams) stream.end();
    expect(await Promise.all(streams.map(({ answer }) => answer))).toEqual(streams.map(() => null));
    expect(taken).toHaveLength(5 * 21);
    expect(taken.every(({ proxy }) => proxy === node)).toBe(true);
    const byTurn = Map.groupBy(taken, ({ clusters }) => clusters.join());
    expect([...byTurn.values()].every((of) => of.length === 5)).toBe(true);
  });

  test("takes it by messages where grpc-js lets nobody read beneath", async () => {
    taken.length = 0;
    // With an interceptor in between the stream is out of reach, as it would be in another version.
    const other = new Server({ interceptors: [(_, call) => new ServerInterceptingCall(call)] });
    other.addService(logs.definition, logs.implementation);
    const port = await new Promise<number>((resolve, reject) =>
      other.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    const caller = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    try {
      const { stream, answer } = open(path, caller);
      stream.write(message("first", node, 100_000));
      stream.write(message("second"));
      stream.end();
      expect(await answer).toBeNull();
      expect(taken.flatMap(({ clusters }) => clusters)).toEqual(["first", "second"]);
    } finally {
      caller.close();
      other.forceShutdown();
    }
  });

  test.for([
    ["what is no message", Buffer.from([0x0a, 0xff, 0x01]), status.INVALID_ARGUMENT],
    ["no node", message("first"), status.INVALID_ARGUMENT],
    ["the node of another", message("first", "sidecar~10.0.0.2~p-1.demo~x"), status.PERMISSION_DENIED],
  ] as const)("ends a stream that brings %s, and no other", async ([, bytes, code]) => {
    taken.length = 0;
    const [good, bad] = [open(), open()];
    good.stream.write(message("first", node));
    bad.stream.write(bytes);
    expect((await bad.answer)?.code).toBe(code);
    good.stream.write(message("second"));
    good.stream.end();
    expect(await good.answer).toBeNull();
    expect(taken.flatMap(({ clusters }) => clusters)).toEqual(["first", "second"]);
  });

  test("reads beneath the installed grpc-js", async () => {
    const { stream, answer } = open("/probe/stream");
    stream.write(Buffer.from("x"));
    stream.end();
    expect(await answer).toBeNull();
    expect(beneath).toEqual([true]);
  });
});
