import { setTimeout as sleep } from "node:timers/promises";
import { primarySample } from "../../api/signals.ts";
import { memoryFlags, memoryVariables } from "../../cli/up/program-file.ts";
import { readLogsExport } from "../../envoy/readers/otlp-logs.ts";
import { envoyMissing, type RunningEnvoy } from "../../test/support/envoy.ts";
import type { Benchmark } from "../benchmark.ts";
import type { AppsAnswer, AppsOrder } from "./apps.ts";
import { makeCertificates } from "./certificates.ts";
import type { ControlPlaneAnswer } from "./control-plane.ts";
import { cpuOf, startProxy, type Variant, type Wiring } from "./envoy.ts";
import type { LoadAnswer, LoadOrder } from "./load.ts";
import { canaryWeight, defaultAnalysis, proxies, rate } from "./plan.ts";
import { type Part, startPart } from "./process.ts";
import { record } from "./recording.ts";
import type { ReplayOrder } from "./replayed-proxies.ts";

/** Seconds of one Envoy that are recorded, of the control plane that are measured, and of one slice of an Envoy. */
const recorded = 12;
const measured = 25;
/** Seconds until V8 has compiled what a control plane does for its proxies: it does so once, in the first minute. */
const compiling = 35;
const slice = 2;
const slices = 8;
const faults = 7;

const explain = `
What the signals of the proxies cost, and how soon they lead to a verdict. Real Envoys with the product's statistics and
logs, mutual TLS to a control plane in its own process, which watches and judges one live run (canary at ${canaryWeight} %).

cpuSharePer100Proxies   CPU of the control plane's process, as a share of one core, with ${proxies} proxies that send their
                        report each second and tell of the attempts of ${rate} requests a second in all, less what it
                        takes alone, over ${measured} s from 5 s after they came. The messages are those of a real Envoy,
                        recorded in the same run, sent as often as ${rate} requests a second lead to; the benchmark fails
                        where not all of them arrive
cpuShareSettled         the same a minute later, when V8 has compiled what runs often: it does so once
mbPer100Proxies         resident memory that these proxies add, their two connections with it (from the last 80 of
                        them, with the heap trimmed before and after as the control plane does)
reportsPerSecond        of these proxies, arrived in these seconds; attemptsPerSecond: of all to the canary,
                        one in ${primarySample} to the primary
requestsPerSecond       that the control plane remembers of these seconds, over all proxies
reportBytes             size of one report
envoyExtraMsPerSecond   CPU that an Envoy at ${rate} requests a second pays for stats sink and log of attempts on a live
                        canary's route: against an Envoy without, in turns of ${slice} s, median of ${slices}
unmarkedLogMsPerSecond  the same for the log of attempts alone on a route with no rollout
faultToVerdictMs        first failed answer at the client to the roll-back verdict, every answer of the canary failing,
                        ${(500 * canaryWeight) / 100} requests a second on the canary: median of ${faults}; faultToVerdictMaxMs: the slowest
`;

export const benchmark: Benchmark = {
  explain,
  async run({ say }) {
    if (envoyMissing !== undefined) throw new Error(envoyMissing);
    const certificates = makeCertificates();
    // As `fairlead up` is started.
    const controlPlane = startPart<object, ControlPlaneAnswer>("control-plane.ts", certificates, {
      flags: memoryFlags,
      variables: memoryVariables,
    });
    const load = startPart<LoadOrder, LoadAnswer>("load.ts", undefined);
    const apps = startPart<AppsOrder, AppsAnswer>("apps.ts", undefined);
    const parts = [controlPlane, load, apps];
    try {
      await sleep(1500);
      const versions = await apps.ask({ failing: 0 });
      say(`recording ${recorded} s of one Envoy`);
      const recording = await record(recorded, rate / proxies, versions, load);
      const { port } = await controlPlane.ask({});
      const wiring: Wiring = { ...versions, controlPlane: port, certificates };

      const { extra, unmarked } = await envoyCosts(wiring, load, say);
      const delays = await faultDelays(wiring, controlPlane, load, apps, say);
      const cost = await controlPlaneCost(recording, wiring, controlPlane, parts, say);
      const figures = {
        faultToVerdictMs: Math.round(median(delays)),
        faultToVerdictMaxMs: Math.round(Math.max(...delays)),
        cpuSharePer100Proxies: Number(cost.cpu.toFixed(4)),
        cpuShareSettled: Number(cost.cpuSettled.toFixed(4)),
        mbPer100Proxies: Number(cost.megabytes.toFixed(1)),
        reportsPerSecond: Number(cost.arrived.reports.toFixed(1)),
        attemptsPerSecond: Number(cost.arrived.attempts.toFixed(1)),
        requestsPerSecond: Number(cost.arrived.requests.toFixed(0)),
        reportBytes: Math.round(median(recording.reports.map(({ length }) => length))),
        envoyExtraMsPerSecond: Number(extra.toFixed(1)),
        unmarkedLogMsPerSecond: Number(unmarked.toFixed(1)),
        faults: delays.length,
      };
      const text = [
        `first failed answer to verdict   median ${figures.faultToVerdictMs} ms, slowest ${figures.faultToVerdictMaxMs} ms of ${faults} faults`,
        `control plane, ${proxies} proxies       ${(figures.cpuSharePer100Proxies * 100).toFixed(1)} % of a core (${(figures.cpuShareSettled * 100).toFixed(1)} % a minute later), ${figures.mbPer100Proxies} MB; a report has ${figures.reportBytes} bytes`,
        `an Envoy at ${rate} requests/s    ${figures.envoyExtraMsPerSecond} ms CPU a second more on a live route; the log alone on another ${figures.unmarkedLogMsPerSecond} ms`,
      ].join("\n");
      return { figures, text };
    } finally {
      for (const part of parts) part.stop();
    }
  },
};

/** What an Envoy pays: with all signals on a live route, and with the log on a route that is none. */
async function envoyCosts(
  wiring: Wiring,
  load: Part<LoadOrder, LoadAnswer>,
  say: (line: string) => void,
): Promise<{ readonly extra: number; readonly unmarked: number }> {
  const variants: readonly Variant[] = [
    { proxy: 1, sink: false, log: false, live: true },
    { proxy: 2, sink: true, log: true, live: true },
    { proxy: 3, sink: false, log: true, live: false },
  ];
  const envoys = await Promise.all(variants.map((variant) => startProxy(variant, wiring)));
  const used: number[][] = envoys.map(() => []);
  try {
    for (const envoy of envoys) await cpuDuring(envoy, load, 1);
    for (let turn = 0; turn < slices; turn++) {
      for (const [index, envoy] of envoys.entries()) used[index]?.push(await cpuDuring(envoy, load, slice));
      say(
        `turn ${turn + 1} of ${slices}: ${used.map((of) => of.at(-1)?.toFixed(0)).join(", ")} ms CPU a second`,
      );
    }
  } finally {
    await load.ask({ port: 0, rate: 0 });
    await Promise.all(envoys.map((envoy) => envoy.stop()));
  }
  const [without = [], live = [], unmarked = []] = used;
  return { extra: medianDifference(live, without), unmarked: medianDifference(unmarked, without) };
}

/** CPU milliseconds a second of one Envoy under load. */
async function cpuDuring(
  envoy: RunningEnvoy & { readonly port: number },
  load: Part<LoadOrder, LoadAnswer>,
  seconds: number,
): Promise<number> {
  await load.ask({ port: envoy.port, rate });
  await sleep(300);
  const before = cpuOf(envoy.pid);
  const began = performance.now();
  await sleep(seconds * 1000);
  return (cpuOf(envoy.pid) - before) / ((performance.now() - began) / 1000);
}

/** Milliseconds from the first failed answer to the verdict, for each fault. */
async function faultDelays(
  wiring: Wiring,
  controlPlane: Part<object, ControlPlaneAnswer>,
  load: Part<LoadOrder, LoadAnswer>,
  apps: Part<AppsOrder, AppsAnswer>,
  say: (line: string) => void,
): Promise<number[]> {
  const envoy = await startProxy({ proxy: 1, sink: true, log: true, live: true }, wiring);
  const delays: number[] = [];
  try {
    for (let fault = 1; fault <= faults; fault++) {
      await apps.ask({ failing: 0 });
      await load.ask({ port: envoy.port, rate: 500 });
      await sleep(1500);
      await controlPlane.ask({ arm: defaultAnalysis });
      await load.ask({ port: envoy.port, rate: 500 });
      await sleep(700 + Math.random() * 500);
      await apps.ask({ failing: 1 });
      const { verdictAt, verdict } = await untilVerdict(controlPlane);
      const { firstFailureAt } = await load.ask({ port: 0, rate: 0 });
      delays.push(verdictAt - firstFailureAt);
      say(`fault ${fault}: ${verdictAt - firstFailureAt} ms: ${verdict}`);
    }
  } finally {
    await apps.ask({ failing: 0 });
    await envoy.stop();
  }
  return delays;
}

async function untilVerdict(controlPlane: Part<object, ControlPlaneAnswer>): Promise<ControlPlaneAnswer> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(50)) {
    const answer = await controlPlane.ask({});
    if (answer.verdictAt > 0) return answer;
  }
  throw new Error("no verdict 20 s after the fault");
}

async function controlPlaneCost(
  recording: Awaited<ReturnType<typeof record>>,
  { controlPlane: port, certificates }: Wiring,
  controlPlane: Part<object, ControlPlaneAnswer>,
  parts: { stop(): void }[],
  say: (line: string) => void,
): Promise<{
  readonly cpu: number;
  readonly cpuSettled: number;
  readonly megabytes: number;
  readonly arrived: Arrived;
}> {
  const toCanary = (rate * canaryWeight) / 100;
  const attempts = toCanary + (rate - toCanary) / primarySample;
  const entries = recording.attempts.flatMap((message) => readLogsExport(message).records);
  const text = (buffers: readonly Buffer[]): string[] => buffers.map((buffer) => buffer.toString("base64"));
  const replayed = startPart<ReplayOrder, object>("replayed-proxies.ts", {
    certificates,
    port,
    reports: text(recording.reports),
    attempts: text(recording.attempts),
    // How many the recorded Envoy told of is a matter of luck: it sends each request to a version at random.
    attemptsPerSecond: (attempts / proxies) * (recording.attempts.length / entries.length),
  });
  parts.push(replayed);
  await controlPlane.ask({ arm: defaultAnalysis });
  await sleep(3000);
  const alone = await controlPlane.ask({});
  await sleep(5000);
  const idle = await controlPlane.ask({});
  const base = (idle.cpu - alone.cpu) / 5;
  // The first few bring the heap to its working size, which it would have in any busy control plane.
  const few = proxies / 5;
  await replayed.ask({ start: few });
  await sleep(12_000);
  const before = await controlPlane.ask({ trim: true });
  say(`measuring ${measured} s twice, ${compiling} s apart`);
  await replayed.ask({ start: proxies });
  await sleep(5000);
  const { share, arrived } = await cpuShare(controlPlane);
  const after = await controlPlane.ask({ trim: true });
  await sleep(compiling * 1000);
  const settled = await cpuShare(controlPlane);
  const sent = { reports: proxies, attempts, requests: rate };
  refuseMissing(arrived, sent);
  refuseMissing(settled.arrived, sent);
  return {
    cpu: share - base,
    cpuSettled: settled.share - base,
    arrived,
    megabytes: ((after.rss - before.rss) / 1e6) * (proxies / (proxies - few)),
  };
}

/** What came to the control plane, a second. */
interface Arrived {
  readonly reports: number;
  readonly attempts: number;
  /** As it remembers them: less where a proxy's recording begins anew, each ten seconds. */
  readonly requests: number;
}

/** CPU of the control plane's process over the next seconds, as a share of one core, and what it was for. */
async function cpuShare(
  controlPlane: Part<object, ControlPlaneAnswer>,
): Promise<{ readonly share: number; readonly arrived: Arrived }> {
  const began = performance.now();
  const from = await controlPlane.ask({});
  await sleep(measured * 1000);
  const to = await controlPlane.ask({});
  const seconds = (performance.now() - began) / 1000;
  const { requests } = await controlPlane.ask({ remembered: measured });
  return {
    share: (to.cpu - from.cpu) / seconds,
    arrived: {
      reports: (to.reports - from.reports) / seconds,
      attempts: (to.attempts - from.attempts) / seconds,
      requests: requests / measured,
    },
  };
}

/** A control plane to which half of the messages come is cheap: that is no figure. */
function refuseMissing(arrived: Arrived, sent: Arrived): void {
  const missing = (["reports", "attempts", "requests"] as const).filter(
    (kind) => arrived[kind] < 0.8 * sent[kind],
  );
  if (missing.length === 0) return;
  const counts = missing.map((kind) => `${arrived[kind].toFixed(1)} of ${sent[kind].toFixed(1)} ${kind}`);
  throw new Error(`a second, only ${counts.join(" and ")} arrived at the control plane`);
}

function medianDifference(a: readonly number[], b: readonly number[]): number {
  return median(a.map((value, index) => value - (b[index] ?? 0)));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
