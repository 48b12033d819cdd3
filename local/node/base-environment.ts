import { dirname } from "node:path";
import type { Pod } from "../../api/core.ts";
import { applicationAddress, hasSidecar, sidecarName } from "./address.ts";
import type { Container } from "./container.ts";
import { repositoryOf } from "./image.ts";
import type { NetworkMode } from "./network/pod-network.ts";

export interface BaseInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly podIp: string;
  readonly networkMode: NetworkMode;
  /** Of the API server. */
  readonly apiServer: URL;
  /** Image name, without tag, of the sidecar. */
  readonly proxyImage: string;
  /** Path of Envoy; where absent the sidecar gets this process's own `ENVOY_BIN`. */
  readonly envoy: string | undefined;
}

/** Taken over from the machine: without them few programs run. */
const inherited = ["HOME", "LANG", "TZ", "TMPDIR", "USER"];

/**
 * What a container's environment holds before its manifest adds to it.
 *
 * `HOST` is the address that its program must bind: behind a sidecar the application address, else the pod IP; any
 * address in a network namespace. The sidecar itself also gets `ENVOY_BIN`, and on the loopback data path
 * `FAIRLEAD_APP_ADDRESS`. `node` is the one that runs fairlead.
 */
export function baseEnvironment(input: BaseInput): ReadonlyMap<string, string> {
  const { pod, container, podIp, networkMode, apiServer, proxyImage, envoy } = input;
  const shared = networkMode === "loopback";
  const isSidecar = container.name === sidecarName || repositoryOf(container.image ?? "") === proxyImage;
  const meshed = pod.spec !== undefined && hasSidecar(pod.spec);
  const behind = meshed && !isSidecar ? applicationAddress(podIp) : podIp;
  const variables = new Map(inherited.flatMap((name) => entry(name, process.env[name])));
  variables.set("PATH", `${dirname(process.execPath)}:${process.env.PATH ?? "/usr/bin:/bin"}`);
  variables.set("HOSTNAME", pod.metadata.name);
  variables.set("HOST", shared ? behind : "0.0.0.0");
  variables.set("KUBERNETES_SERVICE_HOST", apiServer.hostname);
  variables.set("KUBERNETES_SERVICE_PORT", apiServer.port || "443");
  if (isSidecar) {
    if (shared) variables.set("FAIRLEAD_APP_ADDRESS", applicationAddress(podIp));
    for (const [name, value] of entry("ENVOY_BIN", envoy ?? process.env.ENVOY_BIN))
      variables.set(name, value);
  }
  return variables;
}

function entry(name: string, value: string | undefined): [string, string][] {
  return value === undefined ? [] : [[name, value]];
}
