import { createHash } from "node:crypto";
import type { Http2Server, ServerHttp2Stream } from "node:http2";
import { FrameReader, frame } from "./grpc.ts";
import { http2 } from "./http.ts";
import type { AgentLog } from "./log.ts";
import {
  type NamedSecret,
  readDeltaRequest,
  readStateRequest,
  type SecretRequest,
  writeDeltaResponse,
  writeStateResponse,
  writeTlsCertificate,
  writeTrustedRoots,
} from "./messages.ts";

/** Istio's names of a workload's own certificate and of the roots that it trusts. */
export const workloadSecret = "default";
export const rootSecret = "ROOTCA";

/** The secrets of one workload, PEM. */
export interface Secrets {
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
}

interface Subscriber {
  /** Names asked for, with the version that was sent last. */
  readonly sent: Map<string, string>;
  readonly push: (secrets: readonly NamedSecret[]) => void;
}

const service = "/envoy.service.secret.v3.SecretDiscoveryService/";

/** The secret discovery service: `default` and `ROOTCA`, on a Unix socket that only this pod's Envoy can reach. */
export class SdsServer {
  readonly #server: Http2Server;
  readonly #subscribers = new Set<Subscriber>();
  readonly #log: AgentLog;
  #secrets: readonly NamedSecret[] = [];

  constructor(log: AgentLog) {
    this.#log = log;
    this.#server = http2.createServer();
    this.#server.on("session", (session) => session.on("error", () => session.destroy()));
    this.#server.on("stream", (stream, headers) => this.#accept(stream, String(headers[":path"])));
  }

  /** Listens on `path`, whose folder must be ours alone (mode 0700). */
  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, resolve);
    });
  }

  /** Serves these secrets from now on; every subscriber that has others gets them at once. */
  update({ chain, key, roots }: Secrets): void {
    this.#secrets = [
      named(workloadSecret, writeTlsCertificate(workloadSecret, chain, key)),
      named(rootSecret, writeTrustedRoots(rootSecret, roots)),
    ];
    for (const subscriber of this.#subscribers) this.#sendNews(subscriber);
  }

  close(): void {
    this.#server.close();
    for (const subscriber of this.#subscribers) subscriber.push([]);
    this.#subscribers.clear();
  }

  #accept(stream: ServerHttp2Stream, path: string): void {
    const delta = path === `${service}DeltaSecrets`;
    if (!delta && path !== `${service}StreamSecrets`) {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" },
        { endStream: true },
      );
      return;
    }
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    let nonce = 0;
    const subscriber: Subscriber = {
      sent: new Map(),
      push: (secrets) => {
        nonce += 1;
        stream.write(frame((delta ? writeDeltaResponse : writeStateResponse)(secrets, String(nonce))));
      },
    };
    this.#subscribers.add(subscriber);
    const leave = () => this.#subscribers.delete(subscriber);
    const frames = new FrameReader();
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const message of frames.push(chunk)) {
          this.#handle(subscriber, delta ? readDeltaRequest(message) : readStateRequest(message), delta);
        }
      } catch (error) {
        this.#log.warn("secret request could not be read", { reason: String(error) });
        stream.destroy();
      }
    });
    stream.on("error", leave);
    stream.on("close", leave);
    stream.on("end", () => stream.end());
  }

  #handle(subscriber: Subscriber, request: SecretRequest, delta: boolean): void {
    if (request.error !== undefined) this.#log.error("envoy refused a secret", { reason: request.error });
    if (delta) {
      for (const name of request.unsubscribe) subscriber.sent.delete(name);
      // a name that is asked for again is answered again
      for (const name of request.subscribe) subscriber.sent.set(name, "");
    } else {
      for (const name of subscriber.sent.keys())
        if (!request.names.includes(name)) subscriber.sent.delete(name);
      for (const name of request.names) if (!subscriber.sent.has(name)) subscriber.sent.set(name, "");
    }
    this.#sendNews(subscriber);
  }

  /** Sends what the subscriber asked for and does not have. State of the world wants all of its names, whatever changed. */
  #sendNews({ sent, push }: Subscriber): void {
    const asked = this.#secrets.filter(({ name }) => sent.has(name));
    if (asked.every(({ name, version }) => sent.get(name) === version)) return;
    for (const { name, version } of asked) sent.set(name, version);
    push(asked);
  }
}

function named(name: string, secret: Uint8Array): NamedSecret {
  return { name, secret, version: createHash("sha256").update(secret).digest("hex").slice(0, 16) };
}
