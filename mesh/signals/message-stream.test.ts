import { describe, expect, test } from "vitest";
import { MessageReader } from "./message-stream.ts";

function framed(message: Buffer, compressed = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** What a reader makes of these parts. */
function read(parts: readonly Buffer[]): string[] {
  const reader = new MessageReader();
  const texts: string[] = [];
  for (const part of parts) reader.push(part, (message) => texts.push(message.toString()));
  return texts;
}

const long = "n".repeat(61_000);
const longest = "m".repeat(200_000);
const messages = ["one", "", long, "two", longest, "three"];
const bytes = Buffer.concat(messages.map((text) => framed(Buffer.from(text))));

describe("messages of a grpc stream", () => {
  test("are read however the bytes are cut", () => {
    for (const size of [1, 2, 3, 5, 7, 4096, 16_384, 65_536, bytes.length]) {
      const parts: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size));
      expect(read(parts), `in parts of ${size}`).toEqual(messages);
    }
  });

  test("of two streams do not mix when each comes in parts", () => {
    const [first, second] = [new MessageReader(), new MessageReader()];
    const texts: string[] = [];
    const take = (message: Buffer) => texts.push(message.toString());
    const [a, b] = [framed(Buffer.from("a".repeat(50_000))), framed(Buffer.from("b".repeat(50_000)))];
    first.push(a.subarray(0, 30_000), take);
    second.push(b.subarray(0, 30_000), take);
    first.push(a.subarray(30_000), take);
    second.push(b.subarray(30_000), take);
    expect(texts).toEqual(["a".repeat(50_000), "b".repeat(50_000)]);
  });

  test("are refused where they are compressed or too long", () => {
    expect(() => read([framed(Buffer.from("x"), 1)])).toThrow("grpc: a message is compressed");
    expect(() => read([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff])])).toThrow("grpc: a message is too long");
  });
});
