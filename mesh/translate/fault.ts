import type { HttpFault } from "../../api/generated/virtualservices.ts";
import type { Fault, FaultStatus } from "../model/route.ts";
import { readDuration } from "./duration.ts";
import type { Report } from "./problem.ts";

const grpcCodes = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** @see networking.istio.io HTTPFaultInjection; an absent percentage is 0 %, as in Istio, but for the older integer `percent` of a delay */
export function translateFault({ delay, abort }: HttpFault, report: Report): Fault {
  const duration = delay && readDuration(delay.fixedDelay, "fixedDelay", report.at("delay"));
  if (delay?.exponentialDelay !== undefined)
    report.at("delay").problem("exponentialDelay", "is not carried out, use fixedDelay");
  const status = abort && abortStatus(abort, report.at("abort"));
  return {
    delay: duration ? { duration, percent: delay?.percentage?.value ?? delay?.percent ?? 0 } : undefined,
    abort: status && { status, percent: abort?.percentage?.value ?? 0 },
  };
}

function abortStatus(
  { httpStatus, grpcStatus }: NonNullable<HttpFault["abort"]>,
  report: Report,
): FaultStatus | undefined {
  if (httpStatus !== undefined) return { kind: "http", code: httpStatus };
  const code = grpcStatus === undefined ? -1 : grpcCodes.indexOf(grpcStatus.toUpperCase());
  if (code >= 0) return { kind: "grpc", code };
  report.problem(
    "grpcStatus",
    grpcStatus === undefined
      ? "neither httpStatus nor grpcStatus is named"
      : `\`${grpcStatus}\` is not a gRPC status`,
  );
  return undefined;
}
