import { Readable } from "node:stream";
import type { ServerReadableStream } from "@grpc/grpc-js";

/** What stands before each message: whether it is compressed, and its length. */
const prefixLength = 5;
/** Bytes of one message: as much as grpc-js is told to take. */
const longestMessage = 64 * 1024 * 1024;
const empty = Buffer.alloc(0);
/**
 * Where messages are put together that come in parts, as the first of each stream does: it holds the proxy's node, 61 KB.
 * Memory of its own for each would leave holes behind when many proxies come at once.
 */
const spares: Buffer[] = [];
const spareLength = 131_072;
/** Streams that are in the midst of a message at one moment; more get memory that is given back. */
const mostSpares = 4;

function giveBack(buffer: Buffer): void {
  if (buffer.length === spareLength && spares.length < mostSpares) spares.push(buffer);
}

/**
 * Puts the messages of a gRPC stream together, as they are in its bytes.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md (Length-Prefixed-Message)
 */
export class MessageReader {
  /** What came of a message whose rest is still to come. */
  private held: Buffer = empty;
  private heldLength = 0;

  /**
   * Gives `take` each message that is complete with these bytes. The memory is used again afterwards: copy what is kept.
   *
   * @throws RangeError on a compressed message, which was never agreed upon, or one that is too long
   */
  push(bytes: Buffer, take: (message: Buffer) => void): void {
    for (let at = 0; at < bytes.length; ) {
      const left = bytes.length - at;
      const needed =
        this.heldLength > 0 ? neededOf(this.held, 0, this.heldLength) : neededOf(bytes, at, left);
      if (this.heldLength === 0 && left >= prefixLength && left >= needed) {
        take(bytes.subarray(at + prefixLength, at + needed));
        at += needed;
        continue;
      }
      const end = at + Math.min(needed - this.heldLength, left);
      this.hold(bytes.subarray(at, end), needed);
      at = end;
      if (this.heldLength >= prefixLength && this.heldLength === neededOf(this.held, 0, this.heldLength))
        this.release(take);
    }
  }

  /** Forgets what was begun, as its stream has ended. */
  drop(): void {
    giveBack(this.held);
    this.held = empty;
    this.heldLength = 0;
  }

  private hold(part: Buffer, needed: number): void {
    const length = this.heldLength + part.length;
    if (this.held.length < length) {
      // A length that is said may never come: beyond a spare's, room is made by what did.
      const larger =
        needed <= spareLength
          ? (spares.pop() ?? Buffer.allocUnsafeSlow(spareLength))
          : Buffer.allocUnsafeSlow(Math.min(needed, 2 * length));
      this.held.copy(larger, 0, 0, this.heldLength);
      giveBack(this.held);
      this.held = larger;
    }
    part.copy(this.held, this.heldLength);
    this.heldLength = length;
  }

  private release(take: (message: Buffer) => void): void {
    const message = this.held.subarray(prefixLength, this.heldLength);
    const { held } = this;
    this.held = empty;
    this.heldLength = 0;
    take(message);
    giveBack(held);
  }
}

/** Bytes of the message at `at`, its prefix included; of the prefix alone where that is not complete. */
function neededOf(bytes: Buffer, at: number, left: number): number {
  if (left < prefixLength) return prefixLength;
  if (bytes[at] !== 0) throw new RangeError("grpc: a message is compressed");
  const length = bytes.readUInt32BE(at + 1);
  if (length > longestMessage) throw new RangeError("grpc: a message is too long");
  return prefixLength + length;
}

/**
 * Lets the bytes of a call be read without grpc-js, which stops and restarts the stream under the call for each
 * message and passes it through several queues: a quarter of what a short message costs, less once V8 has compiled it
 * all. Its end, its errors and its answer stay with the call.
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
  // At once: bytes that come before would be copied together, again and again.
  stream.resume();
  stream.read(0);
  // Gives the end to the call.
  call.resume();
  return true;
}
