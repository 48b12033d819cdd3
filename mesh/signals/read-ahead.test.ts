import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { stopReadingAhead } from "./read-ahead.ts";

it("asks a stream once for all that it pushes", async () => {
  const asked = async (prepare: (stream: Readable) => void): Promise<number> => {
    let count = 0;
    const stream = new Readable({
      read() {
        count += 1;
      },
    });
    prepare(stream);
    stream.on("data", () => undefined);
    await turn();
    for (let chunk = 0; chunk < 5; chunk++) {
      stream.push("x");
      await turn();
    }
    stream.push(null);
    await once(stream, "end");
    return count;
  };
  expect(await asked(stopReadingAhead)).toBe(1);
  expect(await asked(() => undefined)).toBeGreaterThan(5);
});

it("loses nothing of what a socket brings, nor its end", async () => {
  const server = createServer((socket) => {
    for (let chunk = 0; chunk < 50; chunk++) socket.write(Buffer.alloc(10_000, chunk));
    socket.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  let bytes = 0;
  const socket: Socket = connect(typeof address === "object" && address ? address.port : 0, "127.0.0.1");
  try {
    stopReadingAhead(socket);
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await once(socket, "end");
    expect(bytes).toBe(500_000);
  } finally {
    socket.destroy();
    server.close();
  }
});

it("leaves a stream alone that has no such mark", () => {
  const stream = new Readable({ read: () => undefined });
  Reflect.set(stream, "_readableState", {});
  stopReadingAhead(stream);
  expect(Reflect.get(stream, "_readableState")).toEqual({});
});
