/** Requests of five kinds through the caller's sidecar, each told when it ends. */
import { Agent, request } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";

export type Kind = "http/1.1" | "h2" | "grpc" | "websocket" | "tcp";

export interface Done {
  readonly kind: Kind;
  /** Epoch milliseconds of its sending. */
  readonly at: number;
  /** Epoch milliseconds of its answer's end. */
  readonly end: number;
  /** Which answered; "" where the kind does not say. */
  readonly version: string;
  /** Why it failed. */
  readonly error?: string;
}

const patience = 15_000;

/** One request of each kind; rejects with what went wrong. */
export function createLoad(sidecar: string, pods: () => readonly string[]) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const session: ClientHttp2Session = connectHttp2(`http://${sidecar}:15080`);
  session.on("error", () => {});

  const http1 = () =>
    new Promise<string>((resolve, reject) => {
      const sent = request({
        host: sidecar,
        port: 15080,
        path: "http://shop.soak/",
        headers: { host: "shop.soak" },
        agent,
      });
      sent.on("response", (answer) => {
        answer.resume().on("end", () => {
          if (answer.statusCode === 200) resolve(String(answer.headers.version));
          else reject(new Error(`status ${answer.statusCode}`));
        });
        answer.on("error", reject);
      });
      sent.on("error", reject).end();
    });

  const onSession = (authority: string, headers: Record<string, string>, messages: number) =>
    new Promise<string>((resolve, reject) => {
      const stream = session.request({
        ":method": "POST",
        ":path": "/",
        ":authority": authority,
        ":scheme": "http",
        ...headers,
      });
      let version = "";
      let echoed = 0;
      stream.on("response", (answer) => {
        version = String(answer.version);
        if (answer[":status"] !== 200) reject(new Error(`status ${answer[":status"]}`));
      });
      stream.on("data", (bytes: Buffer) => {
        echoed += bytes.length;
        if (messages > 0 && echoed >= messages * frame.length) stream.end();
      });
      stream.on("end", () => resolve(version));
      stream.on("error", reject);
      if (messages === 0) stream.end();
      for (let sent = 0; sent < messages; sent += 1) stream.write(frame);
    });

  const websocket = () =>
    new Promise<string>((resolve, reject) => {
      const headers = { host: "shop.soak", connection: "Upgrade", upgrade: "websocket" };
      const sent = request({ host: sidecar, port: 15080, path: "http://shop.soak/ws", headers });
      sent.on("upgrade", (answer, socket) => {
        socket.on("error", reject);
        socket.on("close", () => reject(new Error("closed")));
        let echoes = 0;
        socket.on("data", () => {
          echoes += 1;
          if (echoes < 5) return void socket.write("ping");
          socket.removeAllListeners("close");
          socket.destroy();
          resolve(String(answer.headers.version));
        });
        socket.write("ping");
      });
      sent.on("response", (answer) => reject(new Error(`status ${answer.statusCode}`)));
      sent.on("error", reject).end();
    });

  const tcp = () =>
    new Promise<string>((resolve, reject) => {
      const [host = ""] = pods();
      const socket = connect({ host, port: 9000 });
      socket.on("data", () => {
        socket.destroy();
        resolve("");
      });
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("closed")));
      // The sidecar looks for TLS in the first five bytes, and waits for them.
      socket.write("ping ping\n");
    });

  const kinds: Readonly<Record<Kind, () => Promise<string>>> = {
    "http/1.1": http1,
    h2: () => onSession("shop.soak", {}, 0),
    grpc: () => onSession("shop.soak:81", { "content-type": "application/grpc", te: "trailers" }, 5),
    websocket,
    tcp,
  };

  return {
    /** What the sidecar answers for the host of {@link marker}. */
    readMarker: () =>
      new Promise<string>((resolve, reject) => {
        const headers = { host: "marker.soak" };
        const sent = request({ host: sidecar, port: 15080, path: "http://marker.soak/", headers, agent });
        sent.on("response", (answer) => {
          let text = "";
          answer.on("data", (bytes: Buffer) => (text += bytes.toString()));
          answer.on("end", () => resolve(text)).on("error", reject);
        });
        sent.on("error", reject).end();
      }),
    async send(kind: Kind): Promise<Done> {
      const at = Date.now();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error("no answer in time")), patience);
      });
      try {
        const version = await Promise.race([kinds[kind](), late]);
        return { kind, at, end: Date.now(), version };
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        return { kind, at, end: Date.now(), version: "", error: message };
      } finally {
        clearTimeout(timer);
      }
    },
    close() {
      agent.destroy();
      session.destroy();
    },
  };
}

/** A gRPC message of four bytes: not compressed, its length, its bytes. */
const frame = Buffer.from([0, 0, 0, 0, 4, 1, 2, 3, 4]);
