import type { AddressGuard } from "../../lib/address-guard.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { SeriesSource } from "../promql/value.ts";
import { createLimiter, type Limiter } from "./limits.ts";
import { createMeshProvider, meshName } from "./mesh.ts";
import { createPrometheus } from "./prometheus.ts";
import type { Endpoint, Provider } from "./types.ts";
import { createWeb } from "./web.ts";

/** Where every analysis of a process gets its providers: canaries that ask the same one share its limits and batches. */
export interface Providers {
  /** `user`: whose credentials the endpoint's secret holds; queries of different ones never share anything. */
  prometheus(endpoint: Endpoint, user: string): Provider;
  web(endpoint: Endpoint & { readonly jsonPath: string }, user: string): Provider;
  /** The mesh's own signals, in PromQL; undefined where there is no mesh. */
  readonly mesh: Provider | undefined;
}

export interface ProvidersOptions {
  readonly guard: AddressGuard;
  readonly clock: Clock;
  /** What the mesh's proxies report, where the mesh is in this process. */
  readonly series?: SeriesSource;
  /** URL of the mesh's monitoring port, where it is elsewhere. */
  readonly meshAddress?: string;
}

/** Providers that nobody asked for longest are forgotten beyond this number. */
const mostKept = 1_000;

export function createProviders({ guard, clock, series, meshAddress }: ProvidersOptions): Providers {
  const kept = new Map<string, { readonly limiter: Limiter; readonly provider: Provider }>();
  const share = (key: string, make: (limiter: Limiter) => Provider): Provider => {
    const found = kept.get(key);
    kept.delete(key);
    const limiter = found?.limiter ?? createLimiter(clock);
    const provider = found?.provider ?? make(limiter);
    kept.set(key, { limiter, provider });
    const [oldest] = kept.keys();
    if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
    return provider;
  };
  const meshProvider = (): Provider | undefined => {
    if (series !== undefined) return createMeshProvider(series, clock);
    if (meshAddress === undefined) return undefined;
    // No user names it: no guard stands before it.
    const provider = createPrometheus({ address: meshAddress, limiter: createLimiter(clock), clock });
    return { ...provider, name: meshName };
  };
  return {
    prometheus: (endpoint, user) =>
      share(keyOf("prometheus", endpoint, user), (limiter) =>
        createPrometheus({ ...endpoint, guard, limiter, clock }),
      ),
    web: (endpoint, user) =>
      share(keyOf(`web ${endpoint.jsonPath}`, endpoint, user), (limiter) =>
        createWeb({ ...endpoint, guard, limiter }),
      ),
    mesh: meshProvider(),
  };
}

function keyOf(
  type: string,
  { address, headers, insecureSkipVerify, timeout }: Endpoint,
  user: string,
): string {
  return JSON.stringify([type, address, headers, insecureSkipVerify, timeout, user]);
}

/** For analyses outside a control plane: nothing is shared but this process, no mesh, and this machine may be asked. */
export const plainProviders: Providers = createProviders({
  guard: createAddressGuard({ loopback: true }),
  clock: systemClock,
});
