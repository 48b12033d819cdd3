import { once } from "node:events";
import {
  type Metadata,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import type { ResourceRef } from "../../../api/resource.ts";
import type { Cut, Run, Signal, Signals } from "../../../api/signals.ts";
import type { Snapshot } from "../../../kube/contract.ts";
import type { Logger } from "../../../lib/log.ts";
import type { Mesh } from "../../contract.ts";
import { findRule } from "../../route-kinds.ts";
import type { GrpcService } from "../../xds/serve.ts";
import { type HistoryRequest, type RouteHolding, signalsDefinition } from "./protocol.ts";

export interface SignalsServiceOptions {
  readonly signals: Signals;
  readonly mesh: Pick<Mesh, "programmed" | "onStatus">;
  readonly snapshot: () => Snapshot;
  /** Rejects where the bearer of this `authorization` header is no controller. */
  readonly authorize: (authorization: string) => Promise<void>;
  readonly logger: Logger;
}

/** The least time between two answers about one route, milliseconds. */
const settle = 10;

/** Serves the mesh's signals to controllers that run elsewhere. */
export function signalsService(options: SignalsServiceOptions): GrpcService {
  const { signals, authorize, logger } = options;
  const admit = async (metadata: Metadata): Promise<void> => {
    try {
      await authorize(String(metadata.get("authorization")[0] ?? ""));
    } catch (error) {
      const details = error instanceof Error ? error.message : String(error);
      logger.warn({ details }, "a controller was refused");
      throw Object.assign(new Error(details), { code: status.UNAUTHENTICATED, details });
    }
  };
  const unary =
    <Request, Response>(answer: (request: Request) => Promise<Response>) =>
    (call: ServerUnaryCall<Request, Response>, respond: sendUnaryData<Response>) => {
      admit(call.metadata)
        .then(() => answer(call.request))
        .then((response) => respond(null, response), respond);
    };
  const stream =
    <Request, Response>(
      serve: (call: ServerWritableStream<Request, Response>, gone: AbortSignal) => Promise<void>,
    ) =>
    (call: ServerWritableStream<Request, Response>) => {
      const gone = new AbortController();
      call.on("cancelled", () => gone.abort()).on("error", () => gone.abort());
      admit(call.metadata)
        .then(() => serve(call, gone.signal))
        .then(
          () => call.end(),
          (error: Error) => (gone.signal.aborted ? call.end() : call.destroy(error)),
        );
    };
  return {
    definition: signalsDefinition,
    implementation: {
      watch: stream<Run, readonly Signal[]>((call, gone) => sendSignals(signals, call, gone)),
      holding: stream<ResourceRef, RouteHolding>((call, gone) => sendHolding(options, call, gone)),
      history: unary(({ run, seconds }: HistoryRequest) => signals.history(run, seconds)),
      cut: unary((cut: Cut) => signals.cut(cut)),
      release: unary(async ({ id }: { readonly id: string }) => {
        await signals.release(id);
        return {};
      }),
    },
  };
}

/** What comes within one turn of the event loop goes in one message; while the controller does not read, it is kept by the queue. */
async function sendSignals(
  signals: Signals,
  call: ServerWritableStream<Run, readonly Signal[]>,
  gone: AbortSignal,
): Promise<void> {
  let batch: Signal[] = [];
  const flush = (): boolean => {
    const full = batch;
    batch = [];
    return full.length === 0 || call.write(full);
  };
  for await (const signal of signals.watch(call.request, gone)) {
    batch.push(signal);
    if (batch.length === 1) setImmediate(flush);
    if (batch.length >= 500 && !flush()) await once(call, "drain", { signal: gone });
  }
}

async function sendHolding(
  { mesh, snapshot }: SignalsServiceOptions,
  call: ServerWritableStream<ResourceRef, RouteHolding>,
  gone: AbortSignal,
): Promise<void> {
  const route = call.request;
  let last: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    timer = undefined;
    const { resourceVersion } = findRule(snapshot(), route)?.metadata ?? {};
    const holding = { ...mesh.programmed(route), ...(resourceVersion !== undefined && { resourceVersion }) };
    const text = JSON.stringify(holding);
    if (text !== last) call.write(holding);
    last = text;
  };
  const unsubscribe = mesh.onStatus(() => {
    timer ??= setTimeout(tell, settle);
  });
  tell();
  try {
    if (!gone.aborted) await once(gone, "abort");
  } finally {
    unsubscribe();
    clearTimeout(timer);
  }
}
