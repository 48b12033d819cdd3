import { connect, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type End, proxyHeader } from "./proxy-protocol.ts";

/** A connection that says where it comes from and where it was meant for. */
export interface Dial {
  readonly port: number;
  /** A local address, which Envoy sees as the peer's. */
  readonly from: string;
  /** The port that Envoy sees the peer at; the socket's own by default. */
  readonly fromPort?: number;
  readonly to: End;
  readonly tls?: {
    readonly servername: string;
    /** Absent: the client shows no certificate. */
    readonly certificate?: { readonly cert: string; readonly key: string };
  };
}

export interface RawAnswer {
  /** 0 where the connection was closed without an answer. */
  readonly status: number;
  readonly body: string;
}

const patience = 15_000;

/** Sends bytes as they are and reads one HTTP/1.1 response. */
export async function sendRequest(dial: Dial, bytes: Buffer): Promise<RawAnswer> {
  return exchange(dial, bytes, (received, ended) => readResponse(received, ended));
}

/** Sends a few bytes; whether they come back. */
export async function isEchoed(dial: Dial): Promise<boolean> {
  const ping = Buffer.from("ping\n");
  return exchange(dial, ping, (received, ended) =>
    received.length >= ping.length ? true : ended ? false : undefined,
  );
}

/** Writes once and reads until `read` has its answer; it is asked a last time when the connection ends. */
async function exchange<T>(
  dial: Dial,
  bytes: Buffer,
  read: (received: Buffer, ended: boolean) => T | undefined,
): Promise<T> {
  const socket = await open(dial);
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const finish = (ended: boolean) => {
      const answer = read(received, ended);
      if (answer === undefined) return;
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(patience, () => {
      socket.destroy();
      reject(new Error("no answer in time"));
    });
    socket.on("data", (data) => {
      received = Buffer.concat([received, data]);
      finish(false);
    });
    socket.on("close", () => finish(true));
    socket.on("error", () => finish(true));
    socket.write(bytes);
  });
}

/**
 * Connects, writes the PROXY header and shakes hands. An Envoy of a busy machine may give up a handshake that takes long:
 * then once more.
 */
export async function open(dial: Dial): Promise<Socket> {
  try {
    return await openOnce(dial);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
    return openOnce(dial);
  }
}

function openOnce({ port, from, fromPort, to, tls }: Dial): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: isIPv6(from) ? "::1" : "127.0.0.1", port, localAddress: from });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.write(proxyHeader({ ip: from, port: fromPort ?? socket.localPort ?? 0 }, to));
      if (tls === undefined) return resolve(socket);
      const secure = connectTls({
        socket,
        rejectUnauthorized: false,
        ...(tls.servername !== "" && { servername: tls.servername }),
        ...tls.certificate,
      });
      secure.once("error", reject);
      secure.once("secureConnect", () => resolve(secure));
    });
  });
}

function readResponse(received: Buffer, ended: boolean): RawAnswer | undefined {
  const text = received.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return ended ? { status: 0, body: "" } : undefined;
  const status = Number(text.split(" ", 2)[1]);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
  const body = text.slice(end + 4);
  if (/\r\ntransfer-encoding: *chunked/i.test(text.slice(0, end)))
    return body.endsWith("0\r\n\r\n") || ended ? { status, body: dechunk(body) } : undefined;
  return body.length >= length || ended ? { status, body } : undefined;
}

function dechunk(text: string): string {
  let rest = text;
  let body = "";
  for (;;) {
    const line = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.slice(0, line), 16);
    if (line < 0 || !(size > 0)) return body;
    body += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 2 + size + 2);
  }
}

/** A request line and headers as bytes; texts hold a byte a character. */
export function requestBytes(
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`, "latin1");
}
