/** Where a Service of the cluster is reached, by its EndpointSlices: this server has no kube-proxy of its own. */
import { at, listAt, numberAt, textAt } from "../json.ts";
import type { Store } from "../storage/store.ts";
import type { Address, NamedService } from "./call.ts";

/**
 * One of the ready pods behind a Service's port.
 *
 * @throws where there is no such Service, port or ready pod
 */
export function serviceAddress(store: Store, { namespace, name, port }: NamedService): Address {
  const service = store.get("services", namespace, name)?.object;
  if (service === undefined) throw new Error(`service ${JSON.stringify(name)} not found`);
  if (textAt(service, "spec", "type") === "ExternalName")
    return { host: textAt(service, "spec", "externalName") ?? "", port };
  const asked = listAt(service, "spec", "ports").find((each) => numberAt(each, "port") === port);
  if (asked === undefined)
    throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
  const ready = store
    .list("endpointslices.discovery.k8s.io", namespace)
    .filter(({ object }) => textAt(object, "metadata", "labels", "kubernetes.io/service-name") === name)
    .flatMap(({ object }) => addressesOf(object, textAt(asked, "name") ?? ""));
  const chosen = ready[Math.floor(Math.random() * ready.length)];
  if (chosen === undefined) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
  return chosen;
}

function addressesOf(slice: unknown, portName: string): Address[] {
  const found = listAt(slice, "ports").find((each) => (textAt(each, "name") ?? "") === portName);
  const port = numberAt(found, "port");
  if (port === undefined) return [];
  return listAt(slice, "endpoints")
    .filter((endpoint) => at(endpoint, "conditions", "ready") !== false)
    .flatMap((endpoint) => listAt(endpoint, "addresses").map((host) => ({ host: String(host), port })));
}
