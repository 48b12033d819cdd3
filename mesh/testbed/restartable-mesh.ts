import { EventEmitter } from "node:events";
import { apiVersion, type Kind, type KubeObject } from "../../api/resource.ts";
import { silent } from "../../lib/log.ts";
import type { Mesh } from "../contract.ts";
import { startMesh } from "../start.ts";
import { translatedKinds } from "../translate/translate.ts";
import { createMemoryInformers } from "./informers.ts";
import type { ModelledEnvoy } from "./modelled-envoy.ts";
import type { SteeredTime } from "./steered-time.ts";

/** How long things take, milliseconds; asked each time. */
export interface Delays {
  /** The first list of a kind. */
  readonly list: () => number;
  /** A change to an informer. */
  readonly watch: () => number;
  /** A message to a proxy. */
  readonly down: () => number;
  /** How long the transport to a proxy takes no more after a message; 0: it goes on. */
  readonly full: () => number;
  /** A message of a proxy. */
  readonly up: () => number;
  /** From the loss of a stream to the next attempt. */
  readonly reconnect: () => number;
}

interface Running {
  readonly informers: ReturnType<typeof createMemoryInformers>;
  readonly synced: Set<string>;
  mesh: Mesh | undefined;
  isOver: boolean;
  readonly streams: Set<Stream>;
}

interface Stream {
  /** Ends it; what is on its way to the proxy arrives up to a message that chance decides. */
  cut(): void;
}

/**
 * The real mesh over objects in memory, with proxies on streams of its own service; each kind's informer is late by itself, and
 * the whole can be killed and started again.
 *
 * @param onReceived after a proxy has taken a message
 */
export function createRestartableMesh(
  time: SteeredTime,
  random: () => number,
  delays: Delays,
  onReceived: (envoy: ModelledEnvoy) => void,
) {
  const stored = new Map<string, KubeObject>();
  const keyOf = ({ apiVersion: version, kind, metadata }: KubeObject) =>
    `${version}/${kind}/${metadata.namespace}/${metadata.name}`;
  const kindOf = ({ apiVersion: version, kind }: Pick<KubeObject, "apiVersion" | "kind">) =>
    `${version}/${kind}`;
  const nameOf = (kind: Kind) => `${apiVersion(kind)}/${kind.kind}`;
  let running: Running | undefined;

  /** Makes the function that runs what it is given after a delay, never before what it was given earlier. */
  function inOrder(delay: () => number): (run: () => void) => void {
    let last = 0;
    return (run) => {
      last = Math.max(last, time.now() + delay());
      time.after(last - time.now(), run);
    };
  }

  const watches = new Map<string, (run: () => void) => void>();

  function tell(name: string, change: (informers: Running["informers"]) => void): void {
    const told = running;
    const watch = watches.get(name) ?? inOrder(delays.watch);
    watches.set(name, watch);
    if (told === undefined || !told.synced.has(name)) return;
    watch(() => {
      if (!told.isOver) change(told.informers);
    });
  }

  /** Lists the kind when its time has come; what changes after that comes by its watch. */
  function list(own: Running, kind: Kind): Promise<void> {
    return new Promise((resolve) => {
      time.after(delays.list(), () => {
        const name = nameOf(kind);
        for (const object of stored.values()) if (kindOf(object) === name) own.informers.put(object);
        own.synced.add(name);
        resolve();
      });
    });
  }

  function open(envoy: ModelledEnvoy): void {
    const server = running;
    const service = server?.mesh?.services[0];
    const handler: unknown = service?.implementation.DeltaAggregatedResources;
    if (server === undefined || typeof handler !== "function") {
      time.after(delays.reconnect(), () => open(envoy));
      return;
    }
    const [down, up] = [inOrder(delays.down), inOrder(delays.up)];
    let [onTheWay, mayArrive, isCut] = [0, Number.POSITIVE_INFINITY, false];
    const call = Object.assign(new EventEmitter(), {
      writableNeedDrain: false,
      getPeer: () => envoy.id,
      getAuthContext: () => ({}),
      end: () => {},
      write(bytes: Buffer, written?: () => void) {
        onTheWay += 1;
        written?.();
        fill(delays.full());
        down(() => {
          onTheWay -= 1;
          if (mayArrive <= 0) return;
          mayArrive -= 1;
          envoy.receive(bytes);
          onReceived(envoy);
        });
        return true;
      },
    });
    const fill = (duration: number) => {
      if (duration <= 0 || call.writableNeedDrain) return;
      call.writableNeedDrain = true;
      time.after(duration, () => {
        call.writableNeedDrain = false;
        if (!isCut) call.emit("drain");
      });
    };
    const stream: Stream = {
      cut() {
        if (isCut) return;
        isCut = true;
        server.streams.delete(stream);
        call.emit("cancelled");
        mayArrive = Math.floor(random() * (onTheWay + 1));
        down(() => {
          envoy.disconnect();
          time.after(delays.reconnect(), () => open(envoy));
        });
      },
    };
    server.streams.add(stream);
    call.on("error", () => stream.cut());
    Reflect.apply(handler, undefined, [call]);
    envoy.connect((bytes) =>
      up(() => {
        if (!isCut) call.emit("data", bytes);
      }),
    );
  }

  return {
    put(object: KubeObject): void {
      stored.set(keyOf(object), object);
      tell(kindOf(object), (informers) => informers.put(object));
    },
    start(): void {
      const own: Running = {
        informers: createMemoryInformers([]),
        synced: new Set(),
        mesh: undefined,
        isOver: false,
        streams: new Set(),
      };
      running = own;
      const all = Promise.all(translatedKinds.map((kind) => list(own, kind)));
      const informers = { ...own.informers, watch: () => all.then(() => {}) };
      void startMesh({ informers, logger: silent, clock: time.clock }).then((mesh) => {
        if (own.isOver) mesh.close();
        else own.mesh = mesh;
      });
    },
    isServing: (): boolean => running?.mesh !== undefined,
    /** Ends it at once, as `kill -9` does. */
    kill(): void {
      const over = running;
      running = undefined;
      if (over === undefined) return;
      over.isOver = true;
      over.mesh?.close();
      for (const stream of over.streams) stream.cut();
    },
    /** Ends one of the streams alone. */
    cutOne(): void {
      const streams = [...(running?.streams ?? [])];
      streams[Math.floor(random() * streams.length)]?.cut();
    },
    connect: open,
  };
}
