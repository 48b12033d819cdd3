import {
  type ServerReadableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { readAccessLogs } from "../../envoy/readers/access-log.ts";
import type { Logger } from "../../lib/log.ts";
import { rawMethod } from "../xds/raw-method.ts";
import type { Admit } from "./authorize.ts";
import { MessageReader, readBeneath } from "./message-stream.ts";
import type { Collector } from "./signals.ts";

type Stream = ServerReadableStream<Buffer, Buffer>;

/** A gRPC service for `Server.addService`: raw bytes in both directions, read by hand. */
export interface RawService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** Envoy's access log service over raw bytes. @see envoy.service.accesslog.v3.AccessLogService */
export const attemptsDefinition = {
  streamAccessLogs: rawMethod("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", {
    requestStream: true,
    responseStream: false,
  }),
} satisfies ServiceDefinition;

/**
 * The service by which proxies tell of attempts: Envoy's access log service.
 *
 * A damaged message ends its own stream with INVALID_ARGUMENT and nothing else.
 */
export function attemptsService(collector: Collector, admit: Admit, logger: Logger): RawService {
  return {
    definition: attemptsDefinition,
    implementation: {
      streamAccessLogs: (call: Stream, answer: sendUnaryData<Buffer>) =>
        readStream(call, answer, collector, admit, logger),
    },
  };
}

/** The node names itself in the first message of a stream only. */
function readStream(
  call: Stream,
  answer: sendUnaryData<Buffer>,
  collector: Collector,
  admit: Admit,
  logger: Logger,
): void {
  let proxy: string | undefined;
  let ended = false;
  const end = (code: status, details: string) => {
    if (ended) return;
    ended = true;
    logger.warn({ proxy, details }, "a proxy's attempts were refused");
    answer({ code, details });
  };
  const take = (message: Buffer): void => {
    if (ended) return;
    const { identifier, entries } = readAccessLogs(message);
    if (identifier !== undefined && identifier.nodeId !== "" && proxy === undefined) {
      const { transportSecurityType, sslPeerCertificate } = call.getAuthContext();
      const { refused } = admit(
        {
          transport: transportSecurityType === undefined ? "plaintext" : "tls",
          subjectAltName: sslPeerCertificate?.subjectaltname,
          address: call.getPeer(),
        },
        identifier.nodeId,
      );
      if (refused !== undefined) {
        end(status.PERMISSION_DENIED, refused);
        return;
      }
      proxy = identifier.nodeId;
    }
    if (proxy === undefined) end(status.INVALID_ARGUMENT, "the first message names no node");
    else collector.takeAttempts(proxy, entries);
  };
  /** What `read` makes of bytes; what cannot be read ends the stream. */
  const guarded = (read: (bytes: Buffer) => void) => (bytes: Buffer) => {
    if (ended) return;
    try {
      read(bytes);
    } catch (error) {
      end(status.INVALID_ARGUMENT, error instanceof Error ? error.message : String(error));
    }
  };
  const reader = new MessageReader();
  const beneath = readBeneath(
    call,
    guarded((bytes) => reader.push(bytes, take)),
  );
  if (!beneath) call.on("data", guarded(take));
  call.on("close", () => reader.drop());
  call.on("error", () => {
    ended = true;
  });
  call.on("end", () => {
    if (!ended) answer(null, Buffer.alloc(0));
    ended = true;
  });
}
