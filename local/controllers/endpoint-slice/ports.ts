import type { EndpointSlice, Pod, Service } from "../../../api/core.ts";

export type EndpointPort = NonNullable<EndpointSlice["ports"]>[number];
type ServicePort = NonNullable<NonNullable<Service["spec"]>["ports"]>[number];

/**
 * The Service's ports as this pod has them: a targetPort by name is looked up in the pod, so pods may differ.
 *
 * A port whose name no container has is left out, as in Kubernetes.
 */
export function portsOf({ spec }: Service, pod: Pod): readonly EndpointPort[] {
  return (spec?.ports ?? []).flatMap((port) => {
    const number = targetPort(port, pod);
    if (number === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = port;
    return [{ name, port: number, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
}

function targetPort(
  { port, targetPort: target, protocol = "TCP" }: ServicePort,
  pod: Pod,
): number | undefined {
  if (target === undefined || target === 0) return port;
  const wanted = String(target);
  if (/^\d+$/.test(wanted)) return Number(wanted);
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const ports = containers.flatMap(({ ports: own = [] }) => own);
  return ports.find(({ name, protocol: its = "TCP" }) => name === wanted && its === protocol)?.containerPort;
}
