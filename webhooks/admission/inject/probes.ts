import { type Container, literal, type Probe } from "./pod.ts";

/** Agent's port for what the kubelet asks of the pod. */
const agentPort = 15020;

/** The probes as they were, by the path under which the agent makes them. */
export type OriginalProbes = Record<string, object>;

const probeFields = [
  ["readinessProbe", "readyz"],
  ["livenessProbe", "livez"],
  ["startupProbe", "startupz"],
] as const;
const hookFields = [
  ["postStart", "poststartz"],
  ["preStop", "prestopz"],
] as const;

/**
 * Points a container's network probes and hooks at the agent, which carries them out behind the proxy: mTLS and
 * policies must never fail a probe. `originals` collects what the agent has to do.
 *
 * @param graceSeconds how long a hook may take
 */
export function redirectProbes(
  container: Container,
  originals: OriginalProbes,
  graceSeconds: number,
): Container {
  const changed: Record<string, unknown> = {};
  for (const [field, page] of probeFields) {
    const probe = container[field];
    const original = probe && originalOf(probe, container);
    if (!probe || !original) continue;
    const path = `/app-health/${container.name}/${page}`;
    originals[path] = { ...original, timeoutSeconds: probe.timeoutSeconds ?? 1 };
    const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, ...timing } = probe;
    changed[field] = { ...timing, httpGet: { path, port: agentPort, scheme: "HTTP" } };
  }
  const lifecycle: Record<string, unknown> = { ...container.lifecycle };
  for (const [field, page] of hookFields) {
    const httpGet = container.lifecycle?.[field]?.httpGet;
    const original = httpGet && originalOf({ httpGet }, container);
    if (!original) continue;
    const path = `/app-lifecycle/${container.name}/${page}`;
    originals[path] = { ...original, timeoutSeconds: graceSeconds };
    lifecycle[field] = { httpGet: { path, port: agentPort, scheme: "HTTP" } };
    changed.lifecycle = lifecycle;
  }
  return { ...container, ...changed };
}

/** undefined: nothing that goes over the network, or a named port that the container does not have. */
function originalOf({ httpGet, tcpSocket, grpc }: Probe, container: Container): object | undefined {
  if (httpGet) {
    const port = portNumber(httpGet.port, container);
    // a probe of another host is not about this pod's proxy
    if (port === undefined || httpGet.host) return undefined;
    const { path, scheme, httpHeaders } = httpGet;
    return {
      httpGet: {
        ...(path && { path }),
        port,
        ...(scheme && { scheme }),
        ...(httpHeaders && { httpHeaders }),
      },
    };
  }
  if (tcpSocket) {
    const port = portNumber(tcpSocket.port, container);
    return port === undefined || tcpSocket.host ? undefined : { tcpSocket: { port } };
  }
  return grpc && { grpc: { port: grpc.port, ...(grpc.service && { service: grpc.service }) } };
}

function portNumber(port: number | string, { ports = [] }: Container): number | undefined {
  if (typeof port === "number") return port;
  return /^\d+$/.test(port) ? Number(port) : ports.find(({ name }) => name === port)?.containerPort;
}

/** `ISTIO_KUBE_APP_PROBERS`: the originals as the agent reads them. */
export function probersVariable(originals: OriginalProbes): string {
  return literal(JSON.stringify(originals));
}
