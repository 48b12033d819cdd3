import fc from "fast-check";
import { expect, test } from "vitest";
import { PostReader } from "./post-reader.ts";

const header = "x-fairlead-node";
const head = (length: string): string =>
  `POST /v1/metrics HTTP/1.1\r\nhost: a\r\nX-Fairlead-Node: n1\r\n${length}\r\n\r\n`;
const withLength = (body: string): string => `${head(`content-length: ${body.length}`)}${body}`;
const inChunks = (...chunks: string[]): string =>
  `${head("transfer-encoding: chunked")}${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")}0\r\n\r\n`;
const read = (reader: PostReader, text: string): string[] =>
  reader.push(Buffer.from(text, "latin1")).map(({ node, body }) => `${node}:${body.toString("latin1")}`);

test("requests are read whatever the pieces they come in", () => {
  const text = withLength("one") + inChunks("two", " and", " a half") + withLength("") + inChunks("four");
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 }), (sizes) => {
      const reader = new PostReader(header);
      const found: string[] = [];
      let from = 0;
      for (let piece = 0; from < text.length; piece++) {
        const size = sizes[piece % sizes.length] ?? 1;
        found.push(...read(reader, text.slice(from, from + size)));
        from += size;
      }
      expect(found).toEqual(["n1:one", "n1:two and a half", "n1:", "n1:four"]);
    }),
  );
});

test("each request is read by its own head", () => {
  const other = withLength("five").replace("n1", "n2");
  const texts = [withLength("one"), other, withLength("two"), withLength("three"), inChunks("three")];
  expect(read(new PostReader(header), texts.join(""))).toEqual([
    "n1:one",
    "n2:five",
    "n1:two",
    "n1:three",
    "n1:three",
  ]);
});

test.for([
  ["another method", "GET / HTTP/1.1\r\n\r\n"],
  ["another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["two lengths", head("content-length: 3\r\ntransfer-encoding: chunked")],
  ["a length twice", head("content-length: 3\r\ncontent-length: 3")],
  ["a length that is none", head("content-length: -3")],
  ["an encoding that is not chunked", head("transfer-encoding: gzip, chunked")],
  ["a body without end", head("content-length: 99999999")],
  ["a head without end", "x".repeat(20_000)],
  ["a chunk without size", `${head("transfer-encoding: chunked")}xyz\r\nabc`],
  ["a chunk without size or line end", `${head("transfer-encoding: chunked")}${"1".repeat(40)}`],
  ["a chunk that is longer than it says", `${head("transfer-encoding: chunked")}1\r\nabc\r\n`],
] as const)("%s is refused", ([, text]) => {
  expect(() => read(new PostReader(header), text)).toThrow(RangeError);
});

test("any bytes are read or refused, never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        new PostReader(header).push(Buffer.concat([Buffer.from(head("transfer-encoding: chunked")), bytes]));
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
});
