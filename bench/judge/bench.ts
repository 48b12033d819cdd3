import {
  type FaultName,
  faultyWorld,
  healthyWorlds,
  heldOutWorlds,
} from "../../analysis/simulate/scenarios.ts";
import type { Benchmark, Figures } from "../benchmark.ts";
import { type RuleName, ruleNames, titles } from "./rules.ts";
import { agreement, microsecondsPerPoll } from "./speed.ts";
import { faultTable, healthyTable, type Row, runRow, shareOf } from "./tables.ts";

/** Delays are medians of whole seconds: more runs than for shares, as in the reference's table. */
const delayRuns = 8;

const explain = `
Simulated rollouts (interval 60 s, stepWeight 5, maxWeight 50, success rate at least 99 %, P99 at most 500 ms), closed loop:
the weight that a rule sets decides what it sees next. All rules run in the same worlds with the same seeds.

--seeds N                 runs of each rule in each world (50); faults are timed over ${delayRuns} times as many
falseRollbackShare        share of runs rolled back with \`sequential: {}\` although nothing is wrong, over all
                          ${healthyWorlds.length} healthy and ${heldOutWorlds.length} held-out worlds; worstWorldShare: in the worst of them
missedShare               share of canaries promoted although 10 % or 100 % more of their requests fail
                          (1, 50 and 1,000 requests/s, base rates 0.1 % and 1 %)
delayErrors2At50          median seconds from the fault to the verdict: 2 % more errors at 50 requests/s; the other
                          delay keys alike (05: 0.5 %, Latency2: all requests take twice as long)
guardFalseShare           falseRollbackShare of the guard alone, beside Flagger's rule
usPerPoll, canariesPerCore  CPU of one poll of the judge with all of Envoy's buckets; how many canaries one core
                          judges each second
<rule>FalseRollbackShare, <rule>DelayErrors2At1000   the same of the peers' rules; a fault that half of the runs do
                          not find has no delay
agreedTraces, ofTraces    verdicts on recorded traces of the reference that come out the same (second, weights, 1e-6)
`;

/** Timed faults: key, fault, requests a second. */
const timed: readonly (readonly [string, FaultName, number])[] = [
  ["Errors100At1000", "errors 100%", 1000],
  ["Errors10At1000", "errors 10%", 1000],
  ["Errors2At1000", "errors 2%", 1000],
  ["Errors05At1000", "errors +0.5%", 1000],
  ["Errors2At50", "errors 2%", 50],
  ["Latency2At1000", "latency x2", 1000],
];

export const benchmark: Benchmark = {
  explain,
  async run({ args, say }) {
    const seeds = Number(args[args.indexOf("--seeds") + 1] ?? Number.NaN);
    const runs = args.includes("--seeds") ? seeds : 50;
    if (!Number.isInteger(runs) || runs < 1) throw new RangeError("--seeds wants a whole number above 0");
    const healthy = [...healthyWorlds, ...heldOutWorlds].map((scenario) => {
      say(`${scenario.name}, ${runs} runs of each rule`);
      return runRow(scenario, runs);
    });
    const missed = [1, 50, 1000].flatMap((rate) =>
      [0.001, 0.01].flatMap((base) =>
        (["errors 10%", "errors 100%"] as const).map((fault) => {
          const scenario = faultyWorld(fault, rate, base);
          say(`${scenario.name}, ${runs} runs`);
          return runRow(scenario, runs, ["fairlead", "flagger", "flagger10s", "argo"]);
        }),
      ),
    );
    const delays = timed.map(([, fault, rate]) => {
      const scenario = faultyWorld(fault, rate);
      say(`${scenario.name}, ${runs * delayRuns} runs`);
      const own = runRow(scenario, runs * delayRuns, ["fairlead"]);
      const peers = runRow(
        scenario,
        runs,
        ruleNames.filter((name) => name !== "fairlead"),
      );
      return { scenario, cells: { ...own.cells, ...peers.cells } };
    });
    const { agreed, of } = agreement();
    const usPerPoll = microsecondsPerPoll();
    const figures: Figures = {
      seeds: runs,
      falseRollbackShare: shareOf(healthy, "fairlead", "rolledBack"),
      worstWorldShare: worst(healthy, "fairlead"),
      missedShare: shareOf(missed, "fairlead", "promoted"),
      ...delayKeys(delays, "fairlead", "delay"),
      guardFalseShare: shareOf(healthy, "guard", "rolledBack"),
      usPerPoll: Number(usPerPoll.toFixed(2)),
      canariesPerCore: Math.floor(1e6 / usPerPoll),
      agreedTraces: agreed,
      ofTraces: of,
      ...peerKeys(healthy, missed, delays),
    };
    return {
      figures,
      text: [
        healthyTable(healthy),
        faultTable([...delays, ...missed]),
        `false roll-backs over all healthy worlds: ${ruleNames
          .map((name) => `${titles[name]} ${asPercent(shareOf(healthy, name, "rolledBack"))}`)
          .join(", ")}`,
        `one poll ${usPerPoll.toFixed(1)} us: one core judges ${figures.canariesPerCore} canaries each second; ${agreed} of ${of} recorded traces as the reference`,
      ].join("\n\n"),
      ...(agreed === of
        ? {}
        : { failed: `only ${agreed} of ${of} traces are judged as the reference judges them` }),
    };
  },
};

function worst(rows: readonly Row[], name: RuleName): number {
  return Math.max(...rows.map((row) => shareOf([row], name, "rolledBack") ?? 0));
}

function delayKeys(rows: readonly Row[], name: RuleName, prefix: string): Figures {
  return Object.fromEntries(
    timed.map(([key], index) => {
      const delay = rows[index]?.cells[name]?.delay;
      return [`${prefix}${key}`, Number.isFinite(delay) ? delay : undefined];
    }),
  );
}

function peerKeys(healthy: readonly Row[], missed: readonly Row[], delays: readonly Row[]): Figures {
  return Object.assign(
    {},
    ...ruleNames
      .filter((name) => name !== "fairlead" && name !== "guard")
      .map((name) => ({
        [`${name}FalseRollbackShare`]: shareOf(healthy, name, "rolledBack"),
        [`${name}WorstWorldShare`]: worst(healthy, name),
        [`${name}MissedShare`]: shareOf(missed, name, "promoted"),
        ...delayKeys(delays, name, `${name}Delay`),
      })),
    delayKeys(delays, "guard", "guardDelay"),
  ) as Figures;
}

function asPercent(share: number | undefined): string {
  return share === undefined ? "–" : `${Number((share * 100).toPrecision(3))} %`;
}
