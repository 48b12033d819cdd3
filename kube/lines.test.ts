import fc from "fast-check";
import { expect, test } from "vitest";
import { readLines } from "./lines.ts";
import { collect } from "./testing/collect.ts";

async function* chunked(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const end of [...ends, bytes.length]) {
    yield bytes.subarray(from, end);
    from = end;
  }
}

test("objects come out as they went in, wherever the stream breaks", async () => {
  const objects = fc.array(fc.jsonValue(), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      objects,
      fc.array(fc.nat(), { maxLength: 12 }),
      fc.boolean(),
      async (values, cuts, ended) => {
        const text = values.map((value) => JSON.stringify(value)).join("\n") + (ended ? "\n" : "");
        const lines = await collect(readLines(chunked(new TextEncoder().encode(text), cuts)));
        expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
          values.map((value) => JSON.parse(JSON.stringify(value)) as unknown),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test("a character is not broken by a chunk's end", async () => {
  const bytes = new TextEncoder().encode('{"a":"é😀"}\n');
  const lines = await collect(readLines(chunked(bytes, bytes.keys().toArray())));
  expect(lines).toEqual(['{"a":"é😀"}']);
});
