import { quantile } from "../../../bench/rollback/figures.ts";
import { type Loaded, load, type Protocol, protocols } from "../../../bench/shield/load.ts";
import type { Mode } from "../../../bench/shield/modes.ts";
import { hangAfter, hosts, namespace } from "../../../bench/shield/objects.ts";
import { type Attempts, type Caller, type Shop, startShop } from "../../../bench/shield/world.ts";
import { until } from "../../../cli/demo/release.ts";
import { numberOption, type Soak } from "../soak.ts";

const faults: readonly Exclude<Mode, "healthy">[] = [
  "fails",
  "resets",
  "refuses",
  "hangs",
  "unready",
  "dies",
];
const faultWeight = 20;
/** Percent of the canary, and which part of all requests each caller spends on it: enough for four standard deviations in a point. */
const weights: readonly (readonly [number, number])[] = [
  [1, 0.02],
  [20, 0.128],
  [50, 0.2],
];
/** Part of all requests that a fault takes by one caller and protocol. */
const faultPart = 0.0128;

export const soak: Soak = {
  explain: `
GETs through real sidecars of \`fairlead up\` (mutual TLS, three pods a version) to a shielded canary that is broken: callers whose
Envoy has one worker thread and two, HTTP/1.1 and HTTP/2 from end to end. At weight ${faultWeight} all its pods answer 500, drop
the connection (the stream), refuse it, hang, want no requests (no ready endpoint), or die in the middle of a body; and while
it answers 500, its share of first attempts is measured at weights 1, 20 and 50. A case each. It fails where

- a user's request fails (all of a body's deaths do: what a user has begun to read cannot be asked for again, and each must
  be counted), or one that hangs is not answered soon after hangAfter, ${hangAfter} ms;
- the attempts that the callers' proxies count are not those that the canary itself met: its applications, or where they
  refuse, its sidecars; or not all of them count as failed, or not all failed ones as rescued;
- the share is more than a point beside the weight, or four standard deviations where fewer requests make that more.

  --requests N    of all cases together (200,000; CI makes 20,000)
`,
  async run({ args, say }) {
    const wanted = numberOption(args, "requests", 200_000);
    const shop = await startShop();
    const outcomes: Outcome[] = [];
    const note = (outcome: Outcome) => {
      outcomes.push(outcome);
      say(`${outcome.problems.length === 0 ? "passed" : "FAILED"} ${outcome.row.join("  ")}`);
      for (const problem of outcome.problems) say(`  ${problem}`);
    };
    try {
      for (const fault of faults) {
        await shop.weigh("shielded", faultWeight);
        for (const caller of shop.callers)
          for (const protocol of protocols)
            note(await meet(shop, caller, protocol, fault, Math.ceil(wanted * faultPart)));
        await shop.behave("healthy");
      }
      await shop.behave("fails");
      for (const [weight, part] of weights) {
        await shop.weigh("shielded", weight);
        for (const caller of shop.callers) note(await share(caller, weight, Math.ceil(wanted * part)));
      }
    } finally {
      await shop.stop();
    }
    for (const line of table(outcomes)) say(line);
    const failed = outcomes.filter(({ problems }) => problems.length > 0).length;
    return { passed: outcomes.length - failed, failed };
  },
};

interface Outcome {
  readonly row: readonly (string | number)[];
  readonly problems: readonly string[];
}

const columns = [
  "canary",
  "workers",
  "protocol",
  "requests",
  "users' failures",
  "attempts counted",
  "the canary's own count",
  "rescued",
  "share %",
  "p99 ms",
];

function table(outcomes: readonly Outcome[]): string[] {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...outcomes.map(({ row }) => line(row))];
}

async function meet(
  shop: Shop,
  caller: Caller,
  protocol: Protocol,
  fault: Mode,
  count: number,
): Promise<Outcome> {
  await shop.behave(fault);
  const before = await caller.attempts();
  const arrivedBefore = await shop.arrived();
  const loaded = await load(caller.ip, `${hosts.shielded}.${namespace}`, protocol, count);
  const own = async () => (fault === "refuses" ? (await shop.arrived()) - arrivedBefore : shop.ownCount());
  const [attempts, met] = await settled(caller, before, own);
  const failures = fault === "dies" ? attempts.first : 0;
  const p99 = quantile(loaded.times, 0.99);
  const problems = [
    ...differs("users' failures", loaded.failed, failures),
    ...differs("attempts counted", attempts.first, met),
    ...differs("failed attempts", attempts.failed, attempts.first),
    ...differs("rescues", attempts.rescued, fault === "dies" ? 0 : attempts.failed),
    ...(fault === "unready" ? [] : differs("first attempts elsewhere", attempts.unreached, 0)),
    ...offShare(attempts, faultWeight, count),
    ...(fault === "hangs" && p99 > 2 * hangAfter ? [`p99 is ${p99.toFixed(0)} ms`] : []),
  ];
  return { row: rowOf(fault, caller, protocol, loaded, attempts, met), problems };
}

/** Both protocols, half each. */
async function share(caller: Caller, weight: number, count: number): Promise<Outcome> {
  const before = await caller.attempts();
  const parts = [];
  for (const protocol of protocols)
    parts.push(await load(caller.ip, `${hosts.shielded}.${namespace}`, protocol, Math.ceil(count / 2)));
  const loaded: Loaded = {
    sent: parts.reduce((sum, { sent }) => sum + sent, 0),
    failed: parts.reduce((sum, { failed }) => sum + failed, 0),
    byCanary: 0,
    times: parts.flatMap(({ times }) => times),
  };
  const [attempts] = await settled(caller, before);
  const problems = [
    ...differs("users' failures", loaded.failed, 0),
    ...differs("failed attempts", attempts.failed, attempts.first),
    ...offShare(attempts, weight, loaded.sent),
  ];
  return { row: rowOf(`fails at ${weight} %`, caller, "both", loaded, attempts, undefined), problems };
}

/** What the caller has counted since, once nothing more is counted. @param own the canary's own count */
async function settled(
  caller: Caller,
  before: Attempts,
  own: () => Promise<number | undefined> = async () => undefined,
): Promise<readonly [Attempts, number]> {
  let last = "";
  return until("counts that stand still", 30, async () => {
    const now = await caller.attempts();
    const met = await own();
    const text = JSON.stringify([now, met]);
    if (text !== last) {
      last = text;
      return undefined;
    }
    const since = {
      first: now.first - before.first,
      failed: now.failed - before.failed,
      unreached: now.unreached - before.unreached,
      rescued: now.rescued - before.rescued,
    };
    return [since, met ?? since.first] as const;
  });
}

function differs(what: string, found: number, wanted: number): readonly string[] {
  return found === wanted ? [] : [`${what}: ${found}, not ${wanted}`];
}

/** Where the canary has no pod, what was meant for it counts. */
function offShare({ first, unreached }: Attempts, weight: number, count: number): readonly string[] {
  const found = (100 * (first + unreached)) / count;
  const deviation = Math.sqrt((weight * (100 - weight)) / count);
  const most = Math.max(1, 4 * deviation);
  const off = Math.abs(found - weight);
  return off <= most
    ? []
    : [
        `share of first attempts: ${found.toFixed(2)} %, more than ${most.toFixed(2)} points beside ${weight} %`,
      ];
}

function rowOf(
  canary: string,
  { workers }: Caller,
  protocol: string,
  { sent, failed, times }: Loaded,
  { first, unreached, rescued }: Attempts,
  own: number | undefined,
): Outcome["row"] {
  return [
    ...[canary, workers, protocol, sent, failed, first, own ?? "-", rescued],
    ((100 * (first + unreached)) / sent).toFixed(2),
    quantile(times, 0.99).toFixed(0),
  ];
}
