import { setTimeout as sleep } from "node:timers/promises";

/** What a sidecar's own table said: free of chance, as answers are not. */
export interface Held {
  /** Epoch milliseconds before and after it was asked. */
  readonly at: number;
  readonly end: number;
  /** Percent of the second version. */
  readonly weight: number;
}

interface Cluster {
  readonly name: string;
  readonly weight?: number;
}

/** The parts of Envoy's `config_dump` that are read here. */
interface Dump {
  readonly configs?: readonly {
    readonly route_config?: {
      readonly virtual_hosts?: readonly {
        readonly domains?: readonly string[];
        readonly routes?: readonly {
          readonly route?: { readonly weighted_clusters?: { readonly clusters?: readonly Cluster[] } };
        }[];
      }[];
    };
  }[];
}

/** Percent of `second` in the weighted route of `host`; undefined where the dump has none. */
export function weightIn({ configs = [] }: Dump, host: string, second: string): number | undefined {
  const hosts = configs.flatMap(({ route_config: table }) => table?.virtual_hosts ?? []);
  const routes = hosts.find(({ domains }) => domains?.includes(host))?.routes ?? [];
  const clusters = routes.flatMap(({ route }) => route?.weighted_clusters?.clusters ?? []);
  const total = clusters.reduce((sum, { weight = 0 }) => sum + weight, 0);
  const own = clusters.find(({ name }) => name === second)?.weight ?? 0;
  return total === 0 ? undefined : (100 * own) / total;
}

/** Looks into the table of the sidecar with this address five times a second until `stop`. */
export function watchTable(sidecar: string, host: string, second: string) {
  const seen: Held[] = [];
  let going = true;
  const look = async () => {
    const answer = await fetch(`http://${sidecar}:15000/config_dump?resource=dynamic_route_configs`);
    return weightIn((await answer.json()) as Dump, host, second);
  };
  const loop = async () => {
    while (going) {
      const at = Date.now();
      // A look that gets no answer is none: how many there were is told.
      const weight = await look().catch(() => undefined);
      if (weight !== undefined) seen.push({ at, end: Date.now(), weight });
      await sleep(200);
    }
  };
  const ended = loop();
  return {
    seen: seen as readonly Held[],
    async stop(): Promise<void> {
      going = false;
      await ended;
    },
  };
}
