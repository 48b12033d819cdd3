import type { InjectionConfig } from "./config.ts";
import type { Container, EnvironmentVariable } from "./pod.ts";

/** The sidecar's HTTP proxy for what an application sends, in interception mode NONE. */
const outboundPort = 15080;

/**
 * Shows an application the way through its sidecar: proxy variables where nothing redirects it, and a pause before its end in which the last
 * requests of other proxies arrive.
 *
 * Nothing that the user set is replaced. A variable counts as set in either case of its letters, since programs
 * differ in which they read.
 */
export function prepareApplication(
  container: Container,
  { interception, noProxy }: Pick<InjectionConfig, "interception" | "noProxy">,
): Container {
  const own = container.env ?? [];
  const added = interception === "NONE" ? proxyVariables(own, noProxy) : [];
  return {
    ...container,
    ...(added.length > 0 ? { env: [...own, ...added] } : {}),
    ...(container.lifecycle?.preStop
      ? {}
      : {
          lifecycle: {
            ...container.lifecycle,
            preStop: { httpGet: { path: "/drain", port: 15020, scheme: "HTTP" } },
          },
        }),
  };
}

/** What is not set yet. */
function proxyVariables(
  own: readonly EnvironmentVariable[],
  noProxy: readonly string[],
): EnvironmentVariable[] {
  const has = (name: string) => own.some((variable) => variable.name.toLowerCase() === name.toLowerCase());
  const added: EnvironmentVariable[] = [];
  if (!has("HTTP_PROXY")) {
    const { name, declared } = podIpVariable(own);
    if (!declared) added.push({ name, valueFrom: { fieldRef: { fieldPath: "status.podIP" } } });
    for (const proxy of ["HTTP_PROXY", "http_proxy"])
      added.push({ name: proxy, value: `http://$(${name}):${outboundPort}` });
  }
  if (!has("NO_PROXY")) {
    const hosts = ["localhost", "127.0.0.1", ...noProxy].join(",");
    added.push({ name: "NO_PROXY", value: hosts }, { name: "no_proxy", value: hosts });
  }
  // Node's own clients read the proxy variables only when told so
  if (!has("NODE_USE_ENV_PROXY")) added.push({ name: "NODE_USE_ENV_PROXY", value: "1" });
  return added;
}

/** The user's `INSTANCE_IP` may be something else than the pod's address; then another name is used. */
function podIpVariable(own: readonly EnvironmentVariable[]): {
  readonly name: string;
  readonly declared: boolean;
} {
  const existing = own.find(({ name }) => name === "INSTANCE_IP");
  if (!existing) return { name: "INSTANCE_IP", declared: false };
  const isPodIp = existing.valueFrom?.fieldRef?.fieldPath === "status.podIP";
  return isPodIp ? { name: "INSTANCE_IP", declared: true } : { name: "FAIRLEAD_POD_IP", declared: false };
}
