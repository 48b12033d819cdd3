import type { ConnectionPool } from "./destination-policy.ts";
import { type Model, servicesOver } from "./model.ts";
import { type MutualTlsMode, mutualTlsMode } from "./mutual-tls.ts";
import type { Proxy } from "./proxy.ts";
import type { Protocol, Service } from "./service.ts";
import { bindsPort, type IngressListener, sidecarFor } from "./sidecar.ts";
import type { ContainerPort, Workload } from "./workload.ts";

/** A port of a workload on which it is reached. */
export interface InboundPort {
  /** Port of the pod. */
  readonly number: number;
  readonly protocol: Protocol;
  readonly mode: MutualTlsMode;
  /** The Service by which it is known; undefined for a container port that no Service names. */
  readonly service: Service | undefined;
  /** The Service's own port. */
  readonly servicePort: number;
  /** Connections to the application; undefined: without limits. */
  readonly pool?: ConnectionPool | undefined;
  /** What a Sidecar says of the port. */
  readonly ingress?: IngressListener;
  /** Whether it is bound beside what iptables bring: `ingress` says so. */
  readonly ownListener?: boolean;
}

/** The pod of a proxy as the API server knows it. */
export function workloadOf(model: Model, proxy: Proxy): Workload | undefined {
  return model.workloads.get(`${proxy.namespace}/${proxy.pod}`);
}

/**
 * The ports on which a proxy takes requests in: those of its Sidecar's `ingress`; without that the target ports of every
 * Service that selects its pod, and the ports that its containers declare. Of two Services on one port the older names it.
 *
 * @see networking.istio.io Sidecar.ingress, Sidecar.inbound_connection_pool
 */
export function inboundPorts(model: Model, proxy: Proxy): InboundPort[] {
  const known = workloadOf(model, proxy);
  const labels = known?.labels ?? proxy.labels;
  const declared = declaredPorts(model, proxy, labels, known?.ports ?? proxy.ports);
  const rule = sidecarFor(model, { namespace: proxy.namespace, labels });
  if (rule === undefined || (rule.ingress === undefined && rule.inboundPool === undefined)) return declared;
  const { ingress, inboundPool } = rule;
  if (ingress === undefined) return declared.map((port) => ({ ...port, pool: inboundPool }));
  const ports = new Map<number, InboundPort>();
  for (const listener of ingress) {
    const { number, protocol } = listener.port;
    if (ports.has(number)) continue;
    const { service, servicePort } = declared.find((port) => port.number === number) ?? {
      service: undefined,
      servicePort: number,
    };
    const mode = mutualTlsMode(
      model.mutualTls,
      model.settings.rootNamespace,
      { namespace: proxy.namespace, labels },
      number,
    );
    const pool = listener.pool ?? inboundPool;
    const ownListener = proxy.interception !== "NONE" && bindsPort(listener, proxy.interception);
    ports.set(number, { number, protocol, mode, service, servicePort, pool, ingress: listener, ownListener });
  }
  return [...ports.values()].sort((a, b) => a.number - b.number);
}

function declaredPorts(
  model: Model,
  proxy: Proxy,
  labels: Readonly<Record<string, string>>,
  containerPorts: readonly ContainerPort[],
): InboundPort[] {
  const mode = (port: number) =>
    mutualTlsMode(
      model.mutualTls,
      model.settings.rootNamespace,
      { namespace: proxy.namespace, labels },
      port,
    );
  const ports = new Map<number, InboundPort>();
  const services = servicesOver(model.services, proxy.namespace, labels);
  for (const service of services) {
    for (const { number: servicePort, protocol, targetPort } of service.ports) {
      const number = resolve(targetPort, containerPorts);
      if (number === undefined || protocol === "udp" || ports.has(number)) continue;
      ports.set(number, { number, protocol, mode: mode(number), service, servicePort });
    }
  }
  for (const { number } of containerPorts) {
    if (ports.has(number)) continue;
    ports.set(number, {
      number,
      protocol: "undeclared",
      mode: mode(number),
      service: undefined,
      servicePort: number,
    });
  }
  return [...ports.values()].sort((a, b) => a.number - b.number);
}

/** The pods' port behind a port of the Services over them; the number itself where no Service has it. */
export function targetPortOf(
  services: readonly Service[],
  port: number,
  containerPorts: readonly ContainerPort[],
): number {
  for (const service of services) {
    const found = service.ports.find(({ number, protocol }) => number === port && protocol !== "udp");
    const number = found && resolve(found.targetPort, containerPorts);
    if (number !== undefined) return number;
  }
  return port;
}

function resolve(target: number | string, ports: readonly ContainerPort[]): number | undefined {
  return typeof target === "number" ? target : ports.find(({ name }) => name === target)?.number;
}
