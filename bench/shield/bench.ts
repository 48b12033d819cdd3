import type { Benchmark } from "../benchmark.ts";
import { quantile } from "../rollback/figures.ts";
import { measureExtra, type Way } from "../sidecar/measure.ts";
import { memoryOfSidecar, runningTime } from "../sidecar/memory.ts";
import { load } from "./load.ts";
import { hosts, namespace, type RouteName } from "./objects.ts";
import { type Caller, type Shop, startShop } from "./world.ts";

const explain = `
What a shield saves the users of a broken canary, and what it costs those of a healthy one.

\`fairlead up\` with real sidecars (mutual TLS, everything on that is on by default), three pods a version, one caller with one
worker thread; two routes of equal weights to the same pods, one of them with a shield.

failedPlain             of the requests through the plain route, those that failed while the canary at weight 20 answers 500
failedShielded          the same of as many through the shielded route
extraUsP50              both versions healthy, weight 20: a request at a time, in turn by each route, each the first of a turn
                        in half of the rounds; median over the rounds of the differences of medians, microseconds
extraCpuUs              time that the caller's Envoy runs more for a request by the shielded route, in turns of 500 requests:
                        median of the differences, microseconds
firstAttemptErrorPoints first attempts at the canary while it fails everything, less its weight: the worst of the weights
                        1, 20 and 50, percentage points
requests                through each route while the canary fails;  attempts  of these, first attempts at the canary

--requests N (2500)     --rounds N (20) rounds of 300 requests by each route     --share N (30000) requests at weight 50
`;

const rounded = (value: number) => Math.round(value * 10) / 10;
const weight = 20;
/** Requests of a turn of which the processor's time is taken. */
const turn = 500;
const turns = 12;

export const benchmark: Benchmark = {
  explain,
  async run({ args, say }) {
    const option = (name: string, fallback: number) =>
      Number(args[args.indexOf(`--${name}`) + 1] ?? fallback) || fallback;
    const [requests, rounds, most] = [
      option("requests", 2500),
      option("rounds", 20),
      option("share", 30_000),
    ];
    say("starting `fairlead up`");
    const shop = await startShop();
    try {
      const [caller] = shop.callers;
      if (caller === undefined) throw new Error("there is no caller");
      await shop.weigh("plain", weight);
      await shop.weigh("shielded", weight);
      say(`${rounds} rounds while both versions are healthy`);
      const way = (route: RouteName): Way => {
        return { host: caller.ip, port: 15080, target: `http://${hosts[route]}.${namespace}/` };
      };
      const half = Math.ceil(rounds / 2);
      const [after] = await measureExtra(way("plain"), [way("shielded")], half);
      const [before] = await measureExtra(way("shielded"), [way("plain")], half);
      // Which of the two comes second in a turn says more than a shield does: each is it half of the time.
      const extraUsP50 = ((after?.p50 ?? Number.NaN) - (before?.p50 ?? Number.NaN)) / 2;
      const extraCpuUs = await measureCpu(caller);
      say(`${requests} requests by each route while the canary fails`);
      await shop.behave("fails");
      const counted = await caller.attempts();
      const plain = await ask(caller, "plain", requests);
      const shielded = await ask(caller, "shielded", requests);
      const attempts = (await caller.attempts()).first - counted.first;
      say("the share of first attempts at weights 1, 20 and 50");
      const shares = await measureShares(shop, caller, most);
      const figures = {
        failedPlain: plain.failed,
        failedShielded: shielded.failed,
        extraUsP50: rounded(extraUsP50),
        extraCpuUs: rounded(extraCpuUs),
        firstAttemptErrorPoints: Math.round(100 * Math.max(...shares)) / 100,
        requests,
        attempts,
      };
      const lines = Object.entries(figures).map(([name, value]) => `${name.padEnd(26)}${value}`);
      return { figures, text: lines.join("\n") };
    } finally {
      await shop.stop();
    }
  },
};

function ask({ ip }: Caller, route: RouteName, count: number) {
  return load(ip, `${hosts[route]}.${namespace}`, "http/1.1", count);
}

/** Microseconds of the caller's Envoy that a request by the shielded route takes more. */
async function measureCpu(caller: Caller): Promise<number> {
  const envoy = [memoryOfSidecar(caller.pod).envoyPid];
  const timeOf = async (route: RouteName) => {
    const before = runningTime(envoy);
    await ask(caller, route, turn);
    return (runningTime(envoy) - before) / turn;
  };
  const differences: number[] = [];
  for (let index = 0; index <= turns; index += 1) {
    // Who comes first changes, so that what grows with time adds to neither.
    const first: RouteName = index % 2 === 0 ? "plain" : "shielded";
    const second: RouteName = first === "plain" ? "shielded" : "plain";
    const times = { [first]: await timeOf(first), [second]: await timeOf(second) };
    if (index > 0) differences.push((times.shielded ?? 0) - (times.plain ?? 0));
  }
  return quantile(differences, 0.5);
}

/** How far the share of first attempts is from each weight, points; as chance is less at the ends, fewer requests do there. */
async function measureShares(shop: Shop, caller: Caller, most: number): Promise<readonly number[]> {
  const errors: number[] = [];
  for (const [percent, part] of [
    [1, 0.15],
    [20, 0.65],
    [50, 1],
  ] as const) {
    await shop.weigh("shielded", percent);
    const count = Math.ceil(most * part);
    const before = await caller.attempts();
    const { failed } = await ask(caller, "shielded", count);
    if (failed > 0) throw new Error(`${failed} of ${count} shielded requests failed at weight ${percent}`);
    const after = await caller.attempts();
    errors.push(Math.abs((100 * (after.first - before.first)) / count - percent));
  }
  return errors;
}
