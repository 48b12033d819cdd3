/** No object that an API server stores comes near this; a stream without line ends must not fill the memory. */
const maxLine = 64 * 1024 * 1024;

/**
 * Splits a byte stream into lines (NDJSON), wherever its chunks break, also within a character.
 *
 * Empty lines are skipped. What stands after the last line end is a line too: a cut stream ends with half an object.
 *
 * @throws Error for a line over 64 MiB
 */
export async function* readLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const pending: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      const line = join(pending, chunk.subarray(from, end));
      pending.length = 0;
      length = 0;
      from = end + 1;
      if (line !== "") yield line;
    }
    if (from === chunk.length) continue;
    pending.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > maxLine) throw new Error(`a line of the stream is longer than ${maxLine} bytes`);
  }
  const rest = join(pending, new Uint8Array());
  if (rest !== "") yield rest;
}

const newline = 0x0a;

function join(pending: readonly Uint8Array[], last: Uint8Array): string {
  const line =
    pending.length === 0
      ? Buffer.from(last.buffer, last.byteOffset, last.length)
      : Buffer.concat([...pending, last]);
  return line.toString("utf8").trimEnd();
}
