import type { Container, Probe } from "../container.ts";
import { type ExecPlace, probeExec } from "./exec.ts";
import { probeGrpc } from "./grpc.ts";
import { probeHttp } from "./http.ts";
import type { ProbeResult } from "./result.ts";
import { probeTcp } from "./tcp.ts";

export interface ProbeTarget extends ExecPlace {
  readonly container: Container;
  /** Where httpGet, tcpSocket and grpc look without a host of their own. */
  readonly podIp: string;
}

/** Runs a probe once. Never rejects: what cannot be asked has failed. */
export async function runProbe(probe: Probe, target: ProbeTarget): Promise<ProbeResult> {
  const { httpGet, tcpSocket, grpc, exec, timeoutSeconds = 1 } = probe;
  const timeout = timeoutSeconds * 1000;
  try {
    if (httpGet)
      return await probeHttp(httpGet, target.podIp, resolvePort(httpGet.port, target.container), timeout);
    if (tcpSocket) {
      const host = tcpSocket.host || target.podIp;
      return await probeTcp(host, resolvePort(tcpSocket.port, target.container), timeout);
    }
    if (grpc) return await probeGrpc(target.podIp, grpc.port, grpc.service ?? "", timeout);
    if (exec) return await probeExec(exec.command ?? [], target, timeout);
    return { passed: true, message: "" };
  } catch (error) {
    return { passed: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * A port by number or by the name that the container gives it.
 *
 * @throws when the container has no port of that name
 */
export function resolvePort(port: number | string, { ports = [] }: Pick<Container, "ports">): number {
  const number = typeof port === "number" ? port : Number(port);
  if (Number.isInteger(number)) return number;
  const named = ports.find(({ name }) => name === port);
  if (!named) throw new Error(`the container has no port named \`${port}\``);
  return named.containerPort;
}
