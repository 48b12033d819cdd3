import { Readable } from "node:stream";
import type { ServerReadableStream } from "@grpc/grpc-js";

/** What stands before each message: whether it is compressed, and its length. */
const prefixLength = 5;
/** Bytes of one message: as much as grpc-js is told to take. */
const longestMessage = 64 * 1024 * 1024;
const empty = Buffer.alloc(0);

/**
 * Puts the messages of a gRPC stream together, as they are in its bytes.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md (Length-Prefixed-Message)
 */
export class MessageReader {
  private pending: Buffer[] = [];
  private pendingLength = 0;
  /** Bytes that the pending message needs, its prefix included. */
  private needed = prefixLength;

  /**
   * The messages that are complete with these bytes. They are parts of what was pushed: copy what is kept.
   *
   * @throws RangeError on a compressed message, which was never agreed upon, or one that is too long
   */
  push(bytes: Buffer): Buffer[] {
    this.pending.push(bytes);
    this.pendingLength += bytes.length;
    const messages: Buffer[] = [];
    while (this.pendingLength >= this.needed) {
      const all = this.joined();
      const end = prefixLength + lengthOf(all);
      this.needed = end;
      if (all.length < end) break;
      messages.push(all.subarray(prefixLength, end));
      const rest = all.subarray(end);
      this.pending = rest.length > 0 ? [rest] : [];
      this.pendingLength = rest.length;
      this.needed = prefixLength;
    }
    return messages;
  }

  private joined(): Buffer {
    const [first = empty] = this.pending;
    if (this.pending.length === 1) return first;
    const all = Buffer.concat(this.pending, this.pendingLength);
    this.pending = [all];
    return all;
  }
}

function lengthOf(bytes: Buffer): number {
  if (bytes[0] !== 0) throw new RangeError("grpc: a message is compressed");
  const length = bytes.readUInt32BE(1);
  if (length > longestMessage) throw new RangeError("grpc: a message is too long");
  return length;
}

/**
 * Lets the bytes of a call be read without grpc-js, which stops and restarts the stream under the call for each
 * message and passes it through four queues: more than half of what a short message costs. Its end, its errors and its answer
 * stay with the call.
 *
 * To be called as the call begins, before anything of it is read.
 *
 * @returns whether `take` will be given the bytes; grpc-js has no public way to them, so with another version of it they
 *   may have to be read as messages of the call
 */
export function readBeneath(
  call: ServerReadableStream<Buffer, Buffer>,
  take: (bytes: Buffer) => void,
): boolean {
  const inner: unknown = Reflect.get(call, "call");
  const stream: unknown = typeof inner === "object" && inner !== null && Reflect.get(inner, "stream");
  if (!(stream instanceof Readable) || stream.listenerCount("data") !== 1) return false;
  stream.removeAllListeners("data");
  stream.on("data", take);
  // Starts the stream, and gives its end to the call.
  call.resume();
  return true;
}
