/** `fairlead up` with the shop on it, and what its Envoys and applications say of themselves. */
import { type Pod, PodKind } from "../../api/core.ts";
import { VirtualServiceKind } from "../../api/kinds.ts";
import { until } from "../../cli/demo/release.ts";
import { startWorld } from "../../cli/demo/world.ts";
import { discoverKind } from "../../kube/discovery.ts";
import { readShieldStatistic } from "../../mesh/signals/shield.ts";
import { applicationAddress } from "../sidecar/bench.ts";
import { load, protocols } from "./load.ts";
import type { Mode } from "./modes.ts";
import {
  canaryHost,
  hosts,
  keyPrefix,
  namespace,
  objects,
  type RouteName,
  replicas,
  route,
  workers,
} from "./objects.ts";

/** What a caller's Envoy has counted of shielded requests. */
export interface Attempts {
  /** First attempts that reached a pod of the canary, or its address. */
  readonly first: number;
  readonly failed: number;
  /** First attempts that found no pod of the canary, so the primary was asked. */
  readonly unreached: number;
  readonly rescued: number;
}

export interface Caller {
  readonly workers: number;
  readonly ip: string;
  readonly pod: string;
  attempts(): Promise<Attempts>;
}

/** Starts everything; answers once all pods are ready and each caller is answered by the primary. */
export async function startShop() {
  const world = await startWorld({ yes: true });
  const { client } = world;
  try {
    for (const object of objects) {
      const kind = await discoverKind(client, object.apiVersion, object.kind);
      if (kind === undefined) throw new Error(`the API server does not know ${object.kind}`);
      await client.create(kind, object);
    }
    const podsOf = (app: string, count: number): Promise<readonly Pod[]> =>
      until(`${count} pods of ${app}`, 120, async () => {
        const { items } = await client.list(PodKind, { namespace, labelSelector: `app=${app}` });
        const ready = items.filter(({ status }) =>
          status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True"),
        );
        return ready.length === count ? ready : undefined;
      });
    const canary = await podsOf("shop-canary", replicas);
    await podsOf("shop-primary", replicas);
    const callers = await Promise.all(
      workers.map(async (count): Promise<Caller> => {
        const [pod] = await podsOf(`caller-${count}`, 1);
        const ip = pod?.status?.podIP ?? "";
        return { workers: count, ip, pod: pod?.metadata.name ?? "", attempts: () => attemptsAt(ip) };
      }),
    );
    for (const { ip } of callers)
      for (const host of Object.values(hosts))
        for (const protocol of protocols)
          await until(`answers of ${host} over ${protocol}`, 60, async () =>
            (await load(ip, `${host}.${namespace}`, protocol, 50)).failed === 0 ? true : undefined,
          );
    const canaryIps = canary.map(({ status }) => status?.podIP ?? "");
    const controls = canaryIps.map((ip) => `http://${applicationAddress(ip)}:8090`);

    const endpointsOf = async (ip: string): Promise<number> => {
      const page = await text(`http://${ip}:15000/clusters`);
      const names = page.matchAll(/^outbound\|80\|\|shop-canary\.[^:]*::([\d.]+:\d+)::cx_active::/gm);
      return new Set(names.map(([, address]) => address)).size;
    };
    return {
      callers,
      /** Says how all pods of the canary behave; answers when the callers know it. Their counts begin anew. */
      async behave(mode: Mode): Promise<void> {
        await Promise.all(controls.map((url) => fetch(`${url}/${mode}`, { method: "POST" })));
        const wanted = mode === "unready" ? 0 : replicas;
        for (const { ip } of callers)
          await until(`${wanted} endpoints of the canary`, 60, async () =>
            (await endpointsOf(ip)) === wanted ? true : undefined,
          );
      },
      /** Gives the canary's route this weight in percent; answers when the callers' Envoys have it. */
      async weigh(name: RouteName, weight: number): Promise<void> {
        const body = route(name, weight);
        await client.patch(VirtualServiceKind, namespace, body.metadata.name, { kind: "merge", body });
        const key = `${keyPrefix(name)}.outbound|80||${canaryHost}`;
        for (const { ip } of callers)
          await until(`weight ${weight} at ${ip}`, 30, async () => {
            const { entries } = JSON.parse(await text(`http://${ip}:15000/runtime`)) as RuntimePage;
            return Number(entries[key]?.final_value) === weight * 10_000 ? true : undefined;
          });
      },
      /** Requests that the canary's applications have met since they were told how to behave. */
      ownCount: async (): Promise<number> =>
        sum(await Promise.all(controls.map(async (url) => Number(await text(`${url}/count`))))),
      /** Requests that the canary's sidecars have met, whatever became of them. */
      arrived: async (): Promise<number> => sum(await Promise.all(canaryIps.map(arrivedAt))),
      stop: () => world.stop(),
    };
  } catch (error) {
    await world.stop();
    throw error;
  }
}

export type Shop = Awaited<ReturnType<typeof startShop>>;

interface RuntimePage {
  readonly entries: Readonly<Record<string, { readonly final_value: string }>>;
}

async function text(url: string): Promise<string> {
  const answer = await fetch(url);
  return answer.text();
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}

/** Counters of an Envoy whose names hold `filter`. */
async function counters(ip: string, filter: string): Promise<readonly (readonly [string, number])[]> {
  const page = await text(`http://${ip}:15000/stats?type=Counters&filter=${filter}`);
  return page
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => [line.slice(0, line.lastIndexOf(": ")), Number(line.slice(line.lastIndexOf(": ") + 2))]);
}

async function attemptsAt(ip: string): Promise<Attempts> {
  const found = { first: 0, failed: 0, unreached: 0, rescued: 0 };
  for (const [name, value] of await counters(ip, "fairlead_attempts_total")) {
    const told = readShieldStatistic(name);
    if (told === undefined || !("workload" in told.part)) continue;
    const { kind, workload } = told.part;
    if (kind === "rescue") found.rescued += told.answer === "succeeded" ? value : 0;
    else if (workload === "shop-primary") found.unreached += value;
    else {
      found.first += value;
      if (told.answer === "failed") found.failed += value;
    }
  }
  return found;
}

async function arrivedAt(ip: string): Promise<number> {
  return sum((await counters(ip, "istio_requests_total.reporter.destination")).map(([, value]) => value));
}
