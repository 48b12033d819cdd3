/** Asks a real Envoy what a request asks for, and says what came of it. */
import { request as requestHttp } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { Address } from "../../../mesh/explain/listener.ts";
import type { RouteRequest } from "../../../mesh/explain/request.ts";
import { authorityOf } from "../../../mesh/explain/request.ts";
import { pairHeader } from "./log.ts";
import type { World } from "./world.ts";

export interface Answer {
  /** 0: closed without an answer. */
  readonly status: number;
  readonly location: string;
  /** Of a connection without requests: the address that answered. */
  readonly answeredBy: string;
}

const patience = 10_000;
const none: Answer = { status: 0, location: "", answeredBy: "" };

/** @param destination where the caller's own connection would go, which iptables would turn to the proxy */
export async function ask(
  world: Pick<World, "mode" | "port">,
  ip: string,
  request: RouteRequest,
  destination: Address,
  pair: string,
): Promise<Answer> {
  const socket = connect({ host: world.mode === "NONE" ? ip : "127.0.0.1", port: world.port });
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  if (world.mode === "REDIRECT")
    socket.write(`PROXY TCP4 ${ip} ${destination.address} 40000 ${destination.port}\r\n`);
  const asked = request.scheme === "http" ? askHttp(world, socket, request, pair) : askBytes(socket, request);
  try {
    return await inTime(asked);
  } finally {
    socket.destroy();
  }
}

function askHttp(
  world: Pick<World, "mode">,
  socket: Socket,
  request: RouteRequest,
  pair: string,
): Promise<Answer> {
  const authority = authorityOf(request);
  const headers = [...request.headers, [pairHeader, pair] as const];
  if (request.http2 && world.mode === "REDIRECT") return askHttp2(socket, authority, request, headers);
  return new Promise((resolve, reject) => {
    const sent = requestHttp(
      {
        createConnection: () => socket,
        method: request.method,
        path: world.mode === "NONE" ? `http://${authority}${request.path}` : request.path,
        headers: [["host", authority] as const, ...headers].flat(),
        setHost: false,
      },
      (answer) => {
        answer
          .resume()
          .on("end", () =>
            resolve({ ...none, status: answer.statusCode ?? 0, location: answer.headers.location ?? "" }),
          );
      },
    );
    sent.on("error", reject).end();
  });
}

function askHttp2(
  socket: Socket,
  authority: string,
  { method, path }: RouteRequest,
  headers: readonly (readonly [string, string])[],
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://${authority}`, { createConnection: () => socket });
    session.on("error", reject);
    const many = new Map<string, string[]>();
    for (const [name, value] of headers) many.set(name, [...(many.get(name) ?? []), value]);
    const stream = session.request({
      ...Object.fromEntries(many),
      ":method": method,
      ":path": path,
      ":authority": authority,
      ":scheme": "http",
    });
    stream.on("error", reject);
    stream.on("response", (answer) => {
      stream.resume().on("end", () => {
        session.close();
        resolve({ ...none, status: Number(answer[":status"] ?? 0), location: String(answer.location ?? "") });
      });
    });
    stream.end();
  });
}

/** Bytes that are no HTTP, or a TLS greeting: whoever gets them says where it stands. */
async function askBytes(socket: Socket, { scheme, sni, alpn }: RouteRequest): Promise<Answer> {
  socket.write(scheme === "tcp" ? "\x01ping\n" : await greeting(sni, alpn));
  return new Promise((resolve) => {
    let received = "";
    socket.on("data", (bytes) => {
      received += bytes.toString("latin1");
    });
    const end = () => resolve({ ...none, answeredBy: /^at (\S+)/.exec(received)?.[1] ?? "" });
    socket.on("close", end).on("error", end);
  });
}

/** The first bytes of a TLS connection. */
function greeting(sni: string, alpn: readonly string[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    const secure = connectTls({
      socket: wire,
      ...(sni !== "" && { servername: sni }),
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
    });
    secure.on("error", () => wire.destroy());
  });
}

async function inTime(asked: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), patience);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
