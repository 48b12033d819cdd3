import { connect } from "node:net";
import type { AppProbe } from "./config.ts";
import { callUnary } from "./grpc.ts";
import { type Answer, request } from "./http.ts";
import { reasonOf } from "./log.ts";
import { readHealthAnswer, writeHealthCall } from "./messages.ts";

/**
 * Probes the application itself, as the kubelet would without a sidecar, so that mTLS and policies never fail a probe.
 *
 * @returns the application's own HTTP status; for TCP and gRPC 200 or 500. Never rejects
 */
export async function probeApp(probe: AppProbe, host: string): Promise<Answer> {
  const timeout = Math.max(1, probe.timeoutSeconds ?? 1) * 1000;
  try {
    if (probe.httpGet) return await probeHttp(probe.httpGet, host, timeout);
    if (probe.tcpSocket) await probeTcp(host, probe.tcpSocket.port, timeout);
    else if (probe.grpc) await probeGrpc(host, probe.grpc, timeout);
    return { status: 200, body: "" };
  } catch (error) {
    return { status: 500, body: reasonOf(error) };
  }
}

function probeHttp(
  { path = "/", port, scheme, httpHeaders = [] }: NonNullable<AppProbe["httpGet"]>,
  host: string,
  timeout: number,
): Promise<Answer> {
  return request({
    host,
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

function probeTcp(host: string, port: number, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout });
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
  host: string,
  { port, service = "" }: NonNullable<AppProbe["grpc"]>,
  timeout: number,
): Promise<void> {
  const answer = await callUnary({
    origin: `http://${host}:${port}`,
    method: "/grpc.health.v1.Health/Check",
    message: writeHealthCall(service),
    timeout,
  });
  if (!readHealthAnswer(answer)) throw new Error("the application is not serving");
}
