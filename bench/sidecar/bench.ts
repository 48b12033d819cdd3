import { type Pod, PodKind } from "../../api/core.ts";
import { until } from "../../cli/demo/release.ts";
import { startWorld } from "../../cli/demo/world.ts";
import type { Client } from "../../kube/contract.ts";
import { discoverKind } from "../../kube/discovery.ts";
import type { Benchmark } from "../benchmark.ts";
import { startBarePair } from "./bare.ts";
import { askOnce, measureExtra, type Way } from "./measure.ts";
import { memoryOfSidecar, runningTime } from "./memory.ts";
import { namespace, objects, port } from "./objects.ts";

const explain = `
What two sidecars add to a request, and what they take.

\`fairlead up\` as a user starts it, a pod that calls and a pod that answers, each with the Envoy that the injector gives it:
mutual TLS, Istio's metrics, the log of attempts, everything that is on by default. One request at a time on a connection
that stays open, in turn: straight to the application, through both sidecars, and through two bare Envoys with a static
configuration of mutual TLS and nothing else, which lead to the same application.

p50ExtraUs      through the sidecars less straight: median over the rounds of the differences of medians, microseconds
p99ExtraUs      the same of the 99th percentiles of all requests
staticExtraUs   as p50ExtraUs, through the bare Envoys;  staticP99ExtraUs  as p99ExtraUs
cpuUs           time that the two sidecars' Envoys ran, a request;  staticCpuUs  the bare ones': the same on a busy machine
envoyPssMb      memory of a sidecar's Envoy after the requests (PSS: shared pages count in part), the larger of both
agentRssMb      resident memory of the agent beside it, the larger of both
requests        by each way

--rounds N (20) rounds of 300 requests by each way
`;

const rounded = (value: number) => Math.round(value * 10) / 10;

export const benchmark: Benchmark = {
  explain,
  async run({ args, say }) {
    const rounds = Number(args[args.indexOf("--rounds") + 1] ?? 20) || 20;
    say("starting `fairlead up`");
    const world = await startWorld({ yes: true });
    try {
      for (const object of objects) await create(world.client, object);
      const [server, caller] = await Promise.all([
        podOf(world.client, "server"),
        podOf(world.client, "caller"),
      ]);
      const straight: Way = { host: applicationAddress(server.status?.podIP ?? ""), port, target: "/" };
      const sidecars: Way = {
        host: caller.status?.podIP ?? "",
        port: 15080,
        target: `http://server.${namespace}/`,
      };
      const bare = await startBarePair(straight);
      try {
        const bareWay: Way = { host: "127.0.0.1", port: bare.port, target: "/" };
        // Each of the two ways must show the application who calls.
        for (const way of [sidecars, bareWay])
          await until("an answer over mutual TLS", 30, async () =>
            (await askOnce(way).catch(() => "")).startsWith("spiffe://") ? true : undefined,
          );
        say(`${rounds} rounds`);
        const sidecarsOf = () => [server, caller].map(({ metadata }) => memoryOfSidecar(metadata.name));
        const envoys = sidecarsOf().map(({ envoyPid }) => envoyPid);
        const before = [runningTime(envoys), runningTime(bare.pids)] as const;
        const [ours, limit] = await measureExtra(straight, [sidecars, bareWay], rounds);
        const asked = (rounds + 1) * 300;
        const cpu = (runningTime(envoys) - before[0]) / asked;
        const staticCpu = (runningTime(bare.pids) - before[1]) / asked;
        const memory = sidecarsOf();
        const figures = {
          p50ExtraUs: rounded(ours?.p50 ?? Number.NaN),
          p99ExtraUs: rounded(ours?.p99 ?? Number.NaN),
          staticExtraUs: rounded(limit?.p50 ?? Number.NaN),
          staticP99ExtraUs: rounded(limit?.p99 ?? Number.NaN),
          cpuUs: rounded(cpu),
          staticCpuUs: rounded(staticCpu),
          envoyPssMb: Math.max(...memory.map(({ envoyPssMb }) => envoyPssMb)),
          agentRssMb: Math.max(...memory.map(({ agentRssMb }) => agentRssMb)),
          requests: rounds * 300,
        };
        const text = Object.entries(figures)
          .map(([name, value]) => `${name.padEnd(18)}${value}`)
          .join("\n");
        return { figures, text };
      } finally {
        await bare.stop();
      }
    } finally {
      await world.stop();
    }
  },
};

async function create(client: Client, object: (typeof objects)[number]): Promise<void> {
  const kind = await discoverKind(client, object.apiVersion, object.kind);
  if (kind === undefined) throw new Error(`the API server does not know ${object.kind}`);
  await client.create(kind, object);
}

async function podOf(client: Client, app: string): Promise<Pod> {
  return until(`pod of ${app}`, 60, async () => {
    const { items } = await client.list(PodKind, { namespace, labelSelector: `app=${app}` });
    return items.find(({ status }) =>
      status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True"),
    );
  });
}

/** Where the application of a pod listens on the loopback data path (docs/architecture.md). */
export function applicationAddress(podIp: string): string {
  const [a, b, c, d] = podIp.split(".").map(Number);
  return [a, b, (c ?? 0) + 128, d].join(".");
}
