import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Run, Signal, Signals } from "../../../api/signals.ts";
import { SignalQueue } from "../queue.ts";
import { type ConnectOptions, connectMesh, type RemoteMesh } from "./connect.ts";

export interface ReplicasOptions extends ConnectOptions {
  /** IP addresses behind a host name; rejects where they cannot be known now. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly connect?: (options: ConnectOptions) => RemoteMesh;
}

/** How often the host is looked up, and how long a replica is kept that it does not name any more, milliseconds. */
const lookUpEvery = 2_000;
const keptFor = 30_000;

interface Replica {
  readonly mesh: RemoteMesh;
  namedAt: number;
}

interface Watch {
  readonly run: Run;
  readonly queue: SignalQueue;
  readonly gone: AbortController;
}

/**
 * The mesh as one, however many replicas the host of `address` names: each proxy reports to one of them, so signals are
 * merged, counts added and cuts given to all. Replicas that come are asked for what is watched already.
 *
 * A replica that is away counts as one without proxies: they report to another.
 */
export function connectReplicas(options: ReplicasOptions): RemoteMesh {
  const { address, clock, logger, resolve = addressesOf, connect = connectMesh } = options;
  const [, host = address, port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  const replicas = new Map<string, Replica>();
  const watches = new Set<Watch>();
  let closed = false;
  let cancelLookUp = (): void => {};

  const pump = async ({ signals }: RemoteMesh, { run, queue, gone }: Watch): Promise<void> => {
    for await (const signal of signals.watch(run, gone.signal)) queue.push(signal);
  };
  const follow = (mesh: RemoteMesh, watch: Watch): void => {
    pump(mesh, watch).catch((error: unknown) =>
      logger.warn({ err: error }, "signals of a replica broke off"),
    );
  };
  const take = (found: readonly string[]): void => {
    const now = clock.monotonic();
    for (const ip of found) {
      const known = replicas.get(ip);
      if (known !== undefined) {
        known.namedAt = now;
        continue;
      }
      const mesh = connect({ ...options, address: `${isIP(ip) === 6 ? `[${ip}]` : ip}:${port}` });
      replicas.set(ip, { mesh, namedAt: now });
      for (const watch of watches) follow(mesh, watch);
    }
    for (const [ip, { mesh, namedAt }] of replicas) {
      if (now - namedAt < keptFor) continue;
      replicas.delete(ip);
      mesh.close();
    }
  };
  const lookUp = async (): Promise<void> => {
    try {
      const found = await resolve(host);
      if (closed) return;
      take(found);
    } catch (error) {
      logger.debug({ err: error, host }, "the mesh's name cannot be looked up, trying again");
    }
    if (!closed) cancelLookUp = clock.after(lookUpEvery, () => void lookUp());
  };
  if (isIP(host) === 0) void lookUp();
  else take([host]);

  const all = (): RemoteMesh[] => [...replicas.values()].map(({ mesh }) => mesh);
  /** What the replicas that answer say. @throws what the first says where none answers */
  const ask = async <T>(question: (signals: Signals) => Promise<T>): Promise<T[]> => {
    const asked = await Promise.allSettled(all().map(({ signals }) => question(signals)));
    const answers = asked.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    if (answers.length > 0) return answers;
    const refused = asked.find((one) => one.status === "rejected");
    throw refused === undefined ? new Error(`no replica of the mesh is known at ${host}`) : refused.reason;
  };

  const signals: Signals = {
    watch(run, signal) {
      const gone = new AbortController();
      const leave = (): void => watch.queue.close();
      const watch: Watch = {
        run,
        gone,
        queue: new SignalQueue(() => {
          watches.delete(watch);
          gone.abort();
          signal?.removeEventListener("abort", leave);
        }),
      };
      watches.add(watch);
      for (const mesh of all()) follow(mesh, watch);
      signal?.addEventListener("abort", leave, { once: true });
      if (signal?.aborted) leave();
      return watch.queue satisfies AsyncIterable<Signal>;
    },
    async history(run, seconds) {
      const windows = await ask((one) => one.history(run, seconds));
      return windows.flat().toSorted((a, b) => a.at - b.at);
    },
    async cut(cut) {
      const answers = await ask((one) => one.cut(cut));
      return {
        held: answers.reduce((sum, { held }) => sum + held, 0),
        of: answers.reduce((sum, { of }) => sum + of, 0),
      };
    },
    async release(id) {
      await ask((one) => one.release(id));
    },
    health: () => all().flatMap(({ signals: one }) => one.health()),
  };

  return {
    signals,
    acknowledged(route) {
      const answers = all().map((mesh) => mesh.acknowledged(route));
      return {
        held: answers.reduce((sum, { held }) => sum + held, 0),
        of: answers.reduce((sum, { of }) => sum + of, 0),
      };
    },
    close() {
      closed = true;
      cancelLookUp();
      for (const { queue } of [...watches]) queue.close();
      for (const mesh of all()) mesh.close();
      replicas.clear();
    },
  };
}

async function addressesOf(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
