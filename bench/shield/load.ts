/** GETs through a caller's sidecar, a number of them at a time. */
import { Agent, request } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";

export const protocols = ["http/1.1", "h2"] as const;
export type Protocol = (typeof protocols)[number];

export interface Loaded {
  readonly sent: number;
  /** Answers that are not 200, or not whole. */
  readonly failed: number;
  /** Milliseconds of each request. */
  readonly times: readonly number[];
  /** Answers of the canary that were whole. */
  readonly byCanary: number;
}

const proxyPort = 15080;
const connections = 8;
const atOnce = 32;
const patience = 10_000;

/** Asks until `count` requests have ended. @param host `shop.shield`; the port is the protocol's own */
export async function load(
  sidecar: string,
  host: string,
  protocol: Protocol,
  count: number,
): Promise<Loaded> {
  const asker = protocol === "h2" ? http2Asker(sidecar, `${host}:81`) : http1Asker(sidecar, host);
  const times: number[] = [];
  let failed = 0;
  let byCanary = 0;
  let sent = 0;
  const worker = async () => {
    while (sent < count) {
      sent += 1;
      const began = performance.now();
      const version = await asker.ask().catch(() => undefined);
      times.push(performance.now() - began);
      if (version === undefined) failed += 1;
      else if (version === "shop-canary") byCanary += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  asker.close();
  return { sent, failed, times, byCanary };
}

interface Asker {
  /** The version that answered; rejects with what went wrong. */
  ask(): Promise<string>;
  close(): void;
}

function http1Asker(sidecar: string, host: string): Asker {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const target = { host: sidecar, port: proxyPort, path: `http://${host}/`, headers: { host }, agent };
  return {
    ask: () =>
      new Promise((resolve, reject) => {
        const sent = request({ ...target, timeout: patience }, (answer) => {
          let body = "";
          answer.on("data", (chunk: Buffer) => {
            body += chunk.toString();
          });
          answer.on("end", () =>
            answer.statusCode === 200 ? resolve(body) : reject(new Error(String(answer.statusCode))),
          );
          answer.on("error", reject);
        });
        sent.on("timeout", () => sent.destroy(new Error("no answer")));
        sent.on("error", reject).end();
      }),
    close: () => agent.destroy(),
  };
}

function http2Asker(sidecar: string, authority: string): Asker {
  const sessions: ClientHttp2Session[] = Array.from({ length: connections }, () => {
    const session = connect(`http://${sidecar}:${proxyPort}`);
    session.on("error", () => session.destroy());
    return session;
  });
  let next = 0;
  return {
    ask: () =>
      new Promise((resolve, reject) => {
        next += 1;
        const stream = sessions[next % sessions.length]?.request({
          ...{ ":method": "GET", ":path": "/", ":scheme": "http", ":authority": authority },
        });
        if (stream === undefined) return reject(new Error("no session"));
        let body = "";
        let status = 0;
        stream.setTimeout(patience, () => stream.destroy(new Error("no answer")));
        stream.on("response", (headers) => {
          status = Number(headers[":status"]);
        });
        stream.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        stream.on("end", () => (status === 200 ? resolve(body) : reject(new Error(String(status)))));
        stream.on("aborted", () => reject(new Error("aborted")));
        stream.on("error", reject);
        stream.end();
      }),
    close: () => {
      for (const session of sessions) session.destroy();
    },
  };
}
