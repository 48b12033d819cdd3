/**
 * As much of gRPC as an agent needs, straight on HTTP/2: unary calls, and the framing of streams. A library would
 * double the agent's memory.
 */
import { connect, type Socket } from "node:net";
import { http2 } from "./http.ts";

/** Length-prefixed message, uncompressed. */
export function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const largestMessage = 4 * 1024 * 1024;

/** Cuts a byte stream into messages. Throws where one is compressed or larger than 4 MiB. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that `chunk` completes. */
  push(chunk: Buffer): Buffer[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Buffer[] = [];
    while (this.#rest.length >= 5) {
      const length = this.#rest.readUInt32BE(1);
      if (this.#rest[0] !== 0 || length > largestMessage)
        throw new Error("the grpc message is compressed or too large");
      if (this.#rest.length < 5 + length) break;
      messages.push(this.#rest.subarray(5, 5 + length));
      this.#rest = this.#rest.subarray(5 + length);
    }
    return messages;
  }
}

/** A call that the server refused, by its gRPC status. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface UnaryCall {
  /** `https://host:port`, or `http://` for plaintext HTTP/2. */
  readonly origin: string;
  /** `/package.Service/Method` */
  readonly method: string;
  readonly message: Uint8Array;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Source of the connection; only for `http://`. */
  readonly localAddress?: string;
  /** PEM; the server must be signed by it. */
  readonly ca?: string;
  /** Milliseconds, with the connection. */
  readonly timeout: number;
}

/**
 * Calls a unary method on a connection of its own.
 *
 * @returns the answer's message
 * @throws GrpcError where the server answered with a status; Error where no answer came
 */
export function callUnary({
  origin,
  method,
  message,
  metadata = {},
  ca,
  localAddress,
  timeout,
}: UnaryCall): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(origin, {
      ...(ca === undefined ? {} : { ca }),
      ...(localAddress === undefined ? {} : { createConnection: (to: URL) => connectFrom(localAddress, to) }),
    });
    const timer = setTimeout(() => fail(new Error(`${origin} did not answer within ${timeout} ms`)), timeout);
    const finish = () => {
      clearTimeout(timer);
      session.destroy();
    };
    const fail = (error: Error) => {
      finish();
      reject(error);
    };
    session.on("error", fail);
    const stream = session.request({
      ":method": "POST",
      ":path": method,
      "content-type": "application/grpc",
      te: "trailers",
      ...metadata,
    });
    const frames = new FrameReader();
    const messages: Buffer[] = [];
    let status: { readonly code: number; readonly message: string } | undefined;
    const readStatus = (headers: Readonly<Record<string, unknown>>) => {
      if (headers["grpc-status"] === undefined) return;
      status = { code: Number(headers["grpc-status"]), message: readMessage(headers["grpc-message"]) };
    };
    stream.on("response", (headers) => {
      readStatus(headers);
      if (headers[":status"] !== 200)
        fail(new Error(`${origin} answered HTTP ${headers[":status"]} to ${method}`));
    });
    stream.on("trailers", readStatus);
    stream.on("data", (chunk: Buffer) => {
      try {
        messages.push(...frames.push(chunk));
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    stream.on("error", fail);
    stream.on("end", () => {
      const [answer] = messages;
      if (status?.code === 0 && answer) {
        finish();
        resolve(answer);
      } else {
        fail(
          new GrpcError(status?.code ?? 2, status?.message || `${origin} closed ${method} without an answer`),
        );
      }
    });
    stream.end(frame(message));
  });
}

/** grpc-message is percent-encoded. */
function readMessage(value: unknown): string {
  if (typeof value !== "string") return "";
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function connectFrom(localAddress: string, { hostname, port }: URL): Socket {
  return connect({ host: hostname, port: Number(port), localAddress });
}
