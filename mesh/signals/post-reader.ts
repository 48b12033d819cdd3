/** One request of a proxy: who sends it, and its body. */
export interface Post {
  readonly node: string;
  readonly body: Buffer;
}

/** Bytes of a request's head and of a body that are read. */
const longestHead = 16_384;
const longestBody = 4_194_304;

const headEnd = Buffer.from("\r\n\r\n");
const lineEnd = Buffer.from("\r\n");

/**
 * Reads the HTTP/1.1 requests of one connection, as Envoy's stats sink sends them: POST, one after the other, with a
 * length or in chunks. Everything else is refused.
 *
 * By hand, because one comes from every proxy each second: Node's own server takes three times as long.
 *
 * @see RFC 9112
 */
export class PostReader {
  private readonly nodeHeader: string;
  private pending: Buffer = Buffer.alloc(0);

  constructor(nodeHeader: string) {
    this.nodeHeader = nodeHeader;
  }

  /**
   * The requests that are complete with these bytes.
   *
   * @throws RangeError on what is no such request; the connection cannot be read any further
   */
  push(bytes: Buffer): Post[] {
    this.pending = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes]);
    const posts: Post[] = [];
    for (let post = this.next(); post !== undefined; post = this.next()) posts.push(post);
    return posts;
  }

  private next(): Post | undefined {
    const { pending } = this;
    if (pending.length === 0) return undefined;
    const end = pending.indexOf(headEnd);
    if (end < 0 || end > longestHead) {
      if (pending.length > longestHead) throw new RangeError("http: the head of a request is too long");
      return undefined;
    }
    const { node, length } = this.head(pending.toString("latin1", 0, end));
    const start = end + headEnd.length;
    const body = length === "chunked" ? readChunks(pending, start) : readLength(pending, start, length);
    if (body === undefined) return undefined;
    this.pending = pending.subarray(body.end);
    return { node, body: body.bytes };
  }

  private head(text: string): { node: string; length: number | "chunked" } {
    const [first = "", ...lines] = text.split("\r\n");
    if (!/^POST \S+ HTTP\/1\.1$/.test(first)) throw new RangeError("http: only POST is understood");
    let node = "";
    let length: number | "chunked" | undefined;
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      if (name === this.nodeHeader) node = value;
      else if (name === "content-length" || name === "transfer-encoding") {
        if (length !== undefined) throw new RangeError("http: a request has two lengths");
        if (name === "transfer-encoding" && value === "chunked") length = "chunked";
        else if (name === "content-length" && /^\d{1,9}$/.test(value)) length = Number(value);
        else throw new RangeError("http: the length of a request is not understood");
      }
    }
    return { node, length: length ?? 0 };
  }
}

interface Body {
  readonly bytes: Buffer;
  /** Where the next request begins. */
  readonly end: number;
}

function readLength(buffer: Buffer, start: number, length: number): Body | undefined {
  if (length > longestBody) throw new RangeError("http: a body is too long");
  const end = start + length;
  return buffer.length < end ? undefined : { bytes: buffer.subarray(start, end), end };
}

function readChunks(buffer: Buffer, start: number): Body | undefined {
  const chunks: Buffer[] = [];
  let position = start;
  for (;;) {
    const line = buffer.indexOf(lineEnd, position);
    if (line < 0 && buffer.length - position < 32) return undefined;
    const size = buffer.toString("latin1", position, line);
    if (line < 0 || !/^[0-9a-fA-F]{1,7}$/.test(size)) throw new RangeError("http: a chunk has no size");
    const length = Number.parseInt(size, 16);
    const from = line + lineEnd.length;
    const end = from + length + lineEnd.length;
    if (end - start > longestBody) throw new RangeError("http: a body is too long");
    if (buffer.length < end) return undefined;
    if (buffer[end - 2] !== 13 || buffer[end - 1] !== 10)
      throw new RangeError("http: a chunk does not end where it says");
    if (length === 0)
      return { bytes: chunks.length === 1 ? (chunks[0] ?? empty) : Buffer.concat(chunks), end };
    chunks.push(buffer.subarray(from, from + length));
    position = end;
  }
}

const empty = Buffer.alloc(0);
