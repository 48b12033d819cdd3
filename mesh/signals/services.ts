import {
  type ServerReadableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { readAccessLogs } from "../../envoy/readers/access-log.ts";
import { readMetrics } from "../../envoy/readers/metrics.ts";
import type { Logger } from "../../lib/log.ts";
import { isWanted } from "./counts.ts";
import type { Collector } from "./signals.ts";

type Stream = ServerReadableStream<Buffer, Buffer>;
type Answer = sendUnaryData<Buffer>;

/** A gRPC service for `Server.addService`: raw bytes in both directions, read by hand. */
export interface RawService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** Why a stream of this node may not report, undefined where it may: the certificate must prove the node's identity. */
export type Authorize = (call: Stream, nodeId: string) => string | undefined;

const same = (bytes: Buffer): Buffer => bytes;

function clientStream(path: string) {
  return {
    path,
    requestStream: true,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  } as const;
}

/**
 * The two services by which proxies report: attempts (access log service) and counters (metrics service).
 *
 * A damaged message ends its own stream with INVALID_ARGUMENT and nothing else.
 */
export function signalServices(collector: Collector, authorize: Authorize, logger: Logger): RawService[] {
  return [
    {
      definition: {
        streamAccessLogs: clientStream("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"),
      },
      implementation: {
        streamAccessLogs: (call: Stream, answer: Answer) =>
          read(call, answer, authorize, logger, (bytes) => {
            const { identifier, entries } = readAccessLogs(bytes);
            return { nodeId: identifier?.nodeId, take: (proxy) => collector.takeAttempts(proxy, entries) };
          }),
      },
    },
    {
      definition: { streamMetrics: clientStream("/envoy.service.metrics.v3.MetricsService/StreamMetrics") },
      implementation: {
        streamMetrics: (call: Stream, answer: Answer) =>
          read(call, answer, authorize, logger, (bytes) => {
            const { nodeId, samples } = readMetrics(bytes, isWanted);
            return { nodeId, take: (proxy) => collector.takeReport(proxy, samples) };
          }),
      },
    },
  ];
}

/** The node names itself in the first message of a stream only. */
function read(
  call: Stream,
  answer: Answer,
  authorize: Authorize,
  logger: Logger,
  message: (bytes: Buffer) => { readonly nodeId: string | undefined; readonly take: (proxy: string) => void },
): void {
  let proxy: string | undefined;
  let ended = false;
  const end = (code: status, details: string) => {
    if (ended) return;
    ended = true;
    logger.warn({ proxy, details }, "a proxy's report was refused");
    answer({ code, details });
  };
  call.on("data", (bytes: Buffer) => {
    if (ended) return;
    try {
      const { nodeId, take } = message(bytes);
      if (nodeId !== undefined && nodeId !== "" && proxy === undefined) {
        const refused = authorize(call, nodeId);
        if (refused !== undefined) return end(status.PERMISSION_DENIED, refused);
        proxy = nodeId;
      }
      if (proxy === undefined) return end(status.INVALID_ARGUMENT, "the first message names no node");
      take(proxy);
    } catch (error) {
      end(status.INVALID_ARGUMENT, error instanceof Error ? error.message : String(error));
    }
  });
  call.on("error", () => {
    ended = true;
  });
  call.on("end", () => {
    if (!ended) answer(null, Buffer.alloc(0));
    ended = true;
  });
}
