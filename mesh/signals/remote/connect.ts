import {
  ChannelCredentials,
  Client,
  type ClientReadableStream,
  Metadata,
  type MethodDefinition,
} from "@grpc/grpc-js";
import type { ResourceRef } from "../../../api/resource.ts";
import type { ReplicaHealth, Run, Signal, Signals } from "../../../api/signals.ts";
import type { Clock } from "../../../lib/clock.ts";
import type { Logger } from "../../../lib/log.ts";
import { SignalQueue } from "../queue.ts";
import { type RouteHolding, signalsDefinition } from "./protocol.ts";

export interface ConnectOptions {
  /** `host:port` of the mesh's gRPC port with TLS. */
  readonly address: string;
  /** Name that its certificate must carry. */
  readonly serverName: string;
  /** PEM: the mesh's root. */
  readonly rootPem: string;
  /** A service account's token for audience `fairlead-mesh`; asked for at each call, as it is renewed. */
  readonly token: () => string | Promise<string>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The mesh as a controller in another process sees it. */
export interface RemoteMesh {
  readonly signals: Signals;
  /** How many proxies hold the version of a route that is asked about; `of` is 0 while the mesh has not answered. */
  acknowledged(route: ResourceRef & { readonly resourceVersion?: string }): {
    readonly held: number;
    readonly of: number;
  };
  close(): void;
}

/** How long an answer is waited for, milliseconds: a cut is asked again each second. */
const patience = 1000;
/** From a broken stream to the next try, milliseconds. */
const pause = 250;
/** A route that nobody asked about for so long, milliseconds, is no longer followed. */
const forgetAfter = 60_000;

interface Followed {
  holding: RouteHolding | undefined;
  askedAt: number;
  readonly stop: () => void;
}

/**
 * Connects to a mesh elsewhere. Streams that break are opened again until `close`; meanwhile nothing is acknowledged and
 * no signal comes, which holds weights where they are.
 */
export function connectMesh(options: ConnectOptions): RemoteMesh {
  const { address, serverName, rootPem, clock, logger } = options;
  const client = new Client(address, ChannelCredentials.createSsl(Buffer.from(rootPem)), {
    "grpc.ssl_target_name_override": serverName,
    "grpc.default_authority": serverName,
    "grpc.keepalive_time_ms": 5000,
    "grpc.keepalive_timeout_ms": 3000,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
  });
  let lastSeen = 0;
  const streams = new Set<() => void>();
  const followed = new Map<string, Followed>();

  const credentials = async (): Promise<Metadata> => {
    const metadata = new Metadata({ waitForReady: true });
    metadata.set("authorization", `Bearer ${await options.token()}`);
    return metadata;
  };

  async function call<Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const metadata = await credentials();
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + patience },
        (error, response) => {
          if (error === null && response !== undefined) resolve(response);
          else reject(error ?? new Error(`${path}: no answer`));
        },
      );
    });
  }

  /** Opens a stream, and opens it again whenever it ends, until what is returned is called. */
  function follow<Request, Response>(
    definition: MethodDefinition<Request, Response>,
    request: Request,
    take: (response: Response) => void,
    broken: () => void,
  ): () => void {
    const { path, requestSerialize, responseDeserialize } = definition;
    let stopped = false;
    let current: ClientReadableStream<Response> | undefined;
    let cancelPause = (): void => {};
    const again = (error: unknown): void => {
      if (stopped) return;
      broken();
      logger.debug({ err: error, path }, "the mesh does not answer, trying again");
      cancelPause = clock.after(pause, open);
    };
    const open = (): void => {
      credentials().then((metadata) => {
        if (stopped) return;
        const stream = client.makeServerStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadata,
        );
        current = stream;
        stream.on("data", (response: Response) => {
          lastSeen = clock.now();
          take(response);
        });
        // "end" comes without an error where the server ends the stream: both mean that it is over.
        let over = false;
        const ended = (error?: Error): void => {
          if (over) return;
          over = true;
          again(error);
        };
        stream.on("error", ended).on("end", () => ended());
      }, again);
    };
    const stop = (): void => {
      stopped = true;
      cancelPause();
      current?.cancel();
      streams.delete(stop);
    };
    streams.add(stop);
    open();
    return stop;
  }

  const signals: Signals = {
    watch(run, signal) {
      const leave = (): void => queue.close();
      const queue = new SignalQueue(() => {
        stopStream();
        signal?.removeEventListener("abort", leave);
      });
      const stopStream = follow<Run, readonly Signal[]>(
        signalsDefinition.watch,
        run,
        (batch) => {
          for (const one of batch) queue.push(one);
        },
        () => undefined,
      );
      signal?.addEventListener("abort", leave, { once: true });
      if (signal?.aborted) leave();
      return queue;
    },
    history: (run, seconds) => call(signalsDefinition.history, { run, seconds }),
    cut: (cut) => call(signalsDefinition.cut, cut),
    async release(id) {
      await call(signalsDefinition.release, { id });
    },
    health: (): ReplicaHealth[] => [
      {
        replica: address,
        proxies: Math.max(0, ...[...followed.values()].map(({ holding }) => holding?.of ?? 0)),
        lastSeen,
      },
    ],
  };

  function forget(now: number): void {
    for (const [key, { askedAt, stop }] of followed) {
      if (now - askedAt < forgetAfter) continue;
      stop();
      followed.delete(key);
    }
  }

  function followRoute(route: ResourceRef): Followed {
    const entry: Followed = {
      holding: undefined,
      askedAt: 0,
      stop: follow<ResourceRef, RouteHolding>(
        signalsDefinition.holding,
        route,
        (holding) => {
          entry.holding = holding;
        },
        () => {
          entry.holding = undefined;
        },
      ),
    };
    return entry;
  }

  return {
    signals,
    acknowledged(route) {
      const key = `${route.kind}/${route.namespace}/${route.name}`;
      const now = clock.monotonic();
      let entry = followed.get(key);
      if (entry === undefined) {
        forget(now);
        entry = followRoute(refOnly(route));
        followed.set(key, entry);
      }
      entry.askedAt = now;
      const { held = 0, of = 0, resourceVersion } = entry.holding ?? {};
      const isAsked = route.resourceVersion === undefined || route.resourceVersion === resourceVersion;
      return { held: isAsked ? held : 0, of };
    },
    close() {
      for (const stop of [...streams]) stop();
      client.close();
    },
  };
}

/** Without the version: it changes, and the stream goes on. */
function refOnly({ kind, namespace, name }: ResourceRef): ResourceRef {
  return { kind, name, ...(namespace !== undefined && { namespace }) };
}
