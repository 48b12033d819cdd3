import { firstWeightMs, quantile, stepJitter } from "./figures.ts";
import { interval, placeOf } from "./manifests.ts";
import { type Bed, startBed } from "./processes.ts";
import { sleep, startWatcher, until, type Watcher } from "./watcher.ts";

export interface ManyOptions {
  readonly canaries: number;
  readonly running: number;
  readonly say: (line: string) => void;
}

/** Ten weights up to 50: long enough to watch. */
const stepWeight = 5;
const idle = 60_000;
const watched = 6 * interval;
const broken = 40;

/** Idle, then some of them running, then some of those failing. */
export async function manyCanaries({ canaries, running, say }: ManyOptions) {
  const bed = await startBed();
  const watcher = await startWatcher(bed.connection);
  try {
    const began = performance.now();
    say(`making ${canaries} canaries`);
    await watcher.create(canaries, stepWeight);
    const initializedSeconds = Math.round((performance.now() - began) / 1000);
    say(`initialized in ${initializedSeconds} s; idle for ${idle / 1000} s`);
    await sleep(15_000);
    const memory = sampleMemory(bed);
    const before = await bed.usage();
    await sleep(idle);
    const after = await bed.usage();
    const idleReadsPerMinute = Math.round(((after.reads - before.reads) * 60_000) / idle);

    say(`${running} changed within ${interval / 1000} s`);
    const numbers = Array.from({ length: running }, (_, index) => Math.floor((index * canaries) / running));
    for (const number of numbers) {
      await watcher.release(number);
      await sleep(interval / running);
    }
    await until(() => watcher.inPhase("Progressing") === running, 60);
    const from = await bed.usage();
    const started = performance.now();
    await sleep(watched);
    const to = await bed.usage();
    const cpuShare = (to.cpuSeconds - from.cpuSeconds) / ((performance.now() - started) / 1000);
    const timelines = numbers.map((number) => watcher.timeline(number));
    const jitter = timelines.flatMap((timeline) => stepJitter(timeline, interval));
    const firsts = timelines.flatMap((timeline) => firstWeightMs(timeline) ?? []);
    say(`${jitter.length} steps seen; now ${broken} of them fail`);
    const rollbacks = await breakSome(bed, watcher, numbers.slice(0, broken));
    return {
      jitterP99Ms: Math.round(quantile(jitter, 0.99)),
      cpuShare: Number(cpuShare.toFixed(3)),
      rssMb: Math.round(memory.stop()),
      idleReadsPerMinute,
      firstWeightMs: Math.round(quantile(firsts, 0.5)),
      rollbackMs: Math.round(quantile(rollbacks, 0.5)),
      rollbackMaxMs: Math.round(Math.max(...rollbacks)),
      steps: jitter.length,
      initializedSeconds,
    };
  } finally {
    await watcher.close();
    await bed.close();
  }
}

/** Milliseconds from the fault to the stored weight 0, of each; one begins every 100 ms. */
async function breakSome(bed: Bed, watcher: Watcher, numbers: readonly number[]): Promise<readonly number[]> {
  return Promise.all(
    numbers.map(async (number, index) => {
      await sleep(index * 100);
      const { namespace, name } = placeOf(number);
      const fault = performance.now();
      bed.breakCanary(namespace, name);
      await until(() => watcher.timeline(number).weights.at(-1)?.weight === 0, 30);
      return (watcher.timeline(number).weights.at(-1)?.at ?? Number.NaN) - fault;
    }),
  );
}

/** The most resident memory of the controller that is seen from now on, megabytes. */
function sampleMemory(bed: Bed): { stop(): number } {
  let most = 0;
  const timer = setInterval(() => {
    bed.usage().then(
      ({ rssMb }) => {
        most = Math.max(most, rssMb);
      },
      () => undefined,
    );
  }, 2000);
  return {
    stop() {
      clearInterval(timer);
      return most;
    },
  };
}
