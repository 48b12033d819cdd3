import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { readLogsExport, readNodeName } from "../../envoy/readers/otlp-logs.ts";
import { readMetricsExport } from "../../envoy/readers/otlp-metrics.ts";
import type { Logger } from "../../lib/log.ts";
import { readAttempt } from "./attempt-entry.ts";
import type { Admit, Admitted, Reporter } from "./authorize.ts";
import type { ReportingWorkload } from "./counts.ts";
import {
  cells,
  eachPost,
  type FromReceiver,
  type PostKind,
  type ReceiverSetup,
  type ServingCertificate,
  sharedBytes,
  type ToReceiver,
} from "./receiver/messages.ts";
import type { Collector } from "./signals.ts";

export interface OtlpServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Without it proxies come in plain text, and every one is taken at its word. */
  readonly tls?: {
    /** PEM of what signs the certificates of workloads. */
    readonly rootPem: string;
    /** PEM. Read again each minute: it is renewed while the server runs. */
    readonly certificate: () => ServingCertificate;
  };
  readonly collector: Collector;
  readonly admit: Admit;
  readonly logger: Logger;
}

export interface OtlpServer {
  readonly port: number;
  close(): Promise<void>;
}

const certificateCheckEvery = 60_000;
/** Before a receiver that died is started again, milliseconds. */
const restartAfter = 1000;
/** It leaves little behind of each message: with as much as V8 would take it is no faster. */
const youngGenerationMb = 4;
const receiverFile = new URL(
  `./receiver/thread${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

/**
 * Takes what proxies tell: OTLP over HTTP/1.1, over TLS with the workload's own certificate. Their reports each second are
 * metrics, their attempts a log.
 *
 * Connections are a thread's of their own (`receiver/thread.ts`), which is started again should it ever die. A damaged or
 * refused message ends its own connection and nothing else.
 *
 * @throws where the port cannot be bound, or the thread cannot be started
 */
export async function serveOtlp(options: OtlpServerOptions): Promise<OtlpServer> {
  const { host, tls, logger } = options;
  let certificate = tls?.certificate();
  let closed = false;
  let receiver: Receiver;
  const start = (port: number): Promise<Receiver> =>
    startReceiver(
      options,
      {
        host,
        port,
        tls: tls && certificate && { rootPem: tls.rootPem, certificate },
        shared: new SharedArrayBuffer(sharedBytes),
      },
      (error) => void restart(error),
    );
  const restart = async (cause: unknown): Promise<void> => {
    logger.error({ err: cause }, "the thread that takes what proxies tell died: another is started");
    await sleep(restartAfter);
    if (closed) return;
    try {
      receiver = await start(receiver.port);
      if (closed) await receiver.close();
    } catch (error) {
      await restart(error);
    }
  };
  receiver = await start(options.port);
  const refresh = setInterval(() => {
    const next = tls?.certificate();
    if (next === undefined || next.cert === certificate?.cert) return;
    certificate = next;
    receiver.tell({ kind: "certificate", certificate: next });
  }, certificateCheckEvery).unref();
  return {
    port: receiver.port,
    async close() {
      closed = true;
      clearInterval(refresh);
      await receiver.close();
    },
  };
}

interface Receiver {
  readonly port: number;
  tell(message: ToReceiver): void;
  close(): Promise<void>;
}

/** @param onDeath called once, where the thread ends by itself after it has begun to listen */
async function startReceiver(
  options: OtlpServerOptions,
  setup: ReceiverSetup,
  onDeath: (error: Error) => void,
): Promise<Receiver> {
  const worker = new Worker(receiverFile, {
    workerData: setup,
    name: "fairlead-signals",
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
  });
  const numbers = new Int32Array(setup.shared);
  const tell = (message: ToReceiver) => {
    worker.postMessage(message);
    Atomics.store(numbers, cells.bell, 1);
    Atomics.notify(numbers, cells.bell);
  };
  const told = new Told(options, tell);
  const port = await new Promise<number>((resolve, reject) => {
    const fail = (error: unknown) => {
      void worker.terminate();
      reject(error);
    };
    const refuse = (cause: unknown) => {
      const place = `${setup.host}:${setup.port}`;
      fail(new Error(`cannot listen on ${place}: stop what listens there or name another port`, { cause }));
    };
    worker.once("error", fail);
    worker.on("message", (message: FromReceiver) => {
      if (message.kind === "failed") return refuse(new Error(message.reason));
      if (message.kind === "listening") {
        worker.off("error", fail);
        return resolve(message.port);
      }
      told.take(message);
      if (message.kind === "posts") Atomics.sub(numbers, cells.waiting, message.bodies.length);
    });
  });
  let closing = false;
  let death = new Error("it ended");
  worker.on("error", (error) => {
    death = error instanceof Error ? error : new Error(String(error));
  });
  worker.on("exit", () => {
    if (!closing) onDeath(death);
  });
  return {
    port,
    tell,
    async close() {
      closing = true;
      await worker.terminate();
    },
  };
}

/** In memory of its own: a part of what came, or of Node's pool, would keep all of it for as long as the connection lives. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.alloc(bytes.length);
  bytes.copy(copy);
  return copy;
}

/** What is known of one connection. */
interface Teller {
  readonly reporter: Reporter;
  /** The node that heads of posts name. */
  node: string;
  admitted: { readonly node: string; readonly workload: ReportingWorkload | undefined } | undefined;
  /** Who the message before said that it is of: a connection is one proxy's. */
  resource: { readonly bytes: Buffer; readonly node: string };
  /** No more is taken of it. */
  over: boolean;
}

/** What all connections of one receiver tell, taken by the collector. */
class Told {
  private readonly options: OtlpServerOptions;
  private readonly tell: (message: ToReceiver) => void;
  private readonly tellers = new Map<number, Teller>();

  constructor(options: OtlpServerOptions, tell: (message: ToReceiver) => void) {
    this.options = options;
    this.tell = tell;
  }

  take(message: FromReceiver): void {
    switch (message.kind) {
      case "unsecured":
        this.options.logger.debug({ reason: message.reason }, "a proxy failed in tls");
        return;
      case "opened":
        this.tellers.set(message.connection, {
          reporter: message.reporter,
          node: "",
          admitted: undefined,
          resource: { bytes: Buffer.alloc(0), node: "" },
          over: false,
        });
        return;
      case "named": {
        const teller = this.tellers.get(message.connection);
        if (teller !== undefined) teller.node = message.node;
        return;
      }
      case "posts":
        eachPost(message, (connection, kind, body) => this.takePost(connection, kind, body));
        return;
      case "unreadable": {
        const peer = this.tellers.get(message.connection)?.reporter.address;
        this.options.logger.warn({ reason: message.reason, peer }, "what a proxy tells could not be read");
        return;
      }
      case "closed":
        this.tellers.delete(message.connection);
        return;
      default:
    }
  }

  private takePost(connection: number, kind: PostKind, body: Buffer): void {
    const teller = this.tellers.get(connection);
    if (teller === undefined || teller.over) return;
    const { logger } = this.options;
    const known = teller.admitted !== undefined;
    try {
      const refused = kind === "report" ? this.takeReport(teller, body) : this.takeAttempts(teller, body);
      if (refused === undefined) {
        if (!known) this.tell({ kind: "admitted", connection });
        return;
      }
      teller.over = true;
      logger.warn({ proxy: teller.admitted?.node ?? teller.node, refused }, "what a proxy tells was refused");
      this.tell({ kind: "refused", connection });
    } catch (error) {
      teller.over = true;
      logger.warn({ err: error, peer: teller.reporter.address }, "what a proxy tells could not be read");
      this.tell({ kind: "damaged", connection });
    }
  }

  /** Why a report is refused; undefined where it was taken. So are attempts. */
  private takeReport(teller: Teller, body: Buffer): string | undefined {
    const answer = this.admit(teller, teller.node);
    if (answer.refused !== undefined) return answer.refused;
    this.options.collector.takeReport(teller.node, readMetricsExport(body), answer.workload);
    return undefined;
  }

  private takeAttempts(teller: Teller, body: Buffer): string | undefined {
    const { resource, records } = readLogsExport(body);
    if (!resource.equals(teller.resource.bytes))
      teller.resource = { bytes: copyOf(resource), node: readNodeName(resource) };
    const { node } = teller.resource;
    const { refused } = this.admit(teller, node);
    if (refused !== undefined) return refused;
    this.options.collector.takeAttempts(node, records.map(readAttempt));
    return undefined;
  }

  private admit(teller: Teller, node: string): Admitted {
    // Asked again while the pod is not known yet: it may be listed later than its proxy reports.
    if (teller.admitted?.node === node && teller.admitted.workload !== undefined) return teller.admitted;
    const answer = this.options.admit(teller.reporter, node);
    if (answer.refused === undefined) teller.admitted = { node, workload: answer.workload };
    return answer;
  }
}
