import { connect } from "node:net";
import type { AppProbe } from "./config.ts";
import { callUnary } from "./grpc.ts";
import { type Answer, request } from "./http.ts";
import { reasonOf } from "./log.ts";
import { readHealthAnswer, writeHealthCall } from "./messages.ts";

/**
 * Probes the application itself, as the kubelet would without a sidecar, so that mTLS and policies never fail a probe.
 *
 * @param localAddress where it is asked from, if that matters
 * @returns the application's own HTTP status; for TCP and gRPC 200 or 500. Never rejects
 */
export async function probeApp(probe: AppProbe, host: string, localAddress?: string): Promise<Answer> {
  const at = { host, localAddress };
  const timeout = Math.max(1, probe.timeoutSeconds ?? 1) * 1000;
  try {
    if (probe.httpGet) return await probeHttp(probe.httpGet, at, timeout);
    if (probe.tcpSocket) await probeTcp(at, probe.tcpSocket.port, timeout);
    else if (probe.grpc) await probeGrpc(at, probe.grpc, timeout);
    return { status: 200, body: "" };
  } catch (error) {
    return { status: 500, body: reasonOf(error) };
  }
}

interface Place {
  readonly host: string;
  readonly localAddress: string | undefined;
}

function placeOf({ host, localAddress }: Place): { readonly host: string; readonly localAddress?: string } {
  return localAddress === undefined ? { host } : { host, localAddress };
}

function probeHttp(
  { path = "/", port, scheme, httpHeaders = [] }: NonNullable<AppProbe["httpGet"]>,
  at: Place,
  timeout: number,
): Promise<Answer> {
  return request({
    ...at,
    port,
    path: path.startsWith("/") ? path : `/${path}`,
    headers: Object.fromEntries([
      ["user-agent", "kube-probe/fairlead"],
      ...httpHeaders.map(({ name, value }) => [name.toLowerCase(), value]),
    ]),
    timeout,
    insecureTls: scheme?.toUpperCase() === "HTTPS",
  });
}

function probeTcp(at: Place, port: number, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...placeOf(at), port, timeout });
    const end = (error?: Error) => {
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    socket.on("connect", () => end());
    socket.on("timeout", () => end(new Error("connection timed out")));
    socket.on("error", end);
  });
}

async function probeGrpc(
  at: Place,
  { port, service = "" }: NonNullable<AppProbe["grpc"]>,
  timeout: number,
): Promise<void> {
  const answer = await callUnary({
    origin: `http://${at.host}:${port}`,
    ...(at.localAddress === undefined ? {} : { localAddress: at.localAddress }),
    method: "/grpc.health.v1.Health/Check",
    message: writeHealthCall(service),
    timeout,
  });
  if (!readHealthAnswer(answer)) throw new Error("the application is not serving");
}
