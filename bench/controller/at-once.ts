import { interval } from "./manifests.ts";
import { startBed } from "./processes.ts";
import { sleep, startWatcher } from "./watcher.ts";

export interface AtOnceOptions {
  readonly canaries: number;
  readonly say: (line: string) => void;
}

const stepWeight = 10;
const steps = 5;
const watched = 200_000;

/** All canaries changed at once: what the controller uses in the 200 s that follow, and when the last one is through. */
export async function atOnce({ canaries, say }: AtOnceOptions) {
  const bed = await startBed();
  const watcher = await startWatcher(bed.connection);
  try {
    say(`${canaries} canaries alone, all changed at once`);
    await watcher.create(canaries, stepWeight);
    await sleep(10_000);
    const before = await bed.usage();
    const began = performance.now();
    await Promise.all(Array.from({ length: canaries }, (_, number) => watcher.release(number)));
    let allThrough: number | undefined;
    while (performance.now() - began < watched) {
      await sleep(100);
      if (allThrough === undefined && watcher.inPhase("Succeeded") === canaries)
        allThrough = performance.now();
    }
    const after = await bed.usage();
    return {
      cpuSecondsPer200s: Number((after.cpuSeconds - before.cpuSeconds).toFixed(2)),
      idealSeconds: (steps * interval) / 1000,
      allThroughSeconds:
        allThrough === undefined ? undefined : Number(((allThrough - began) / 1000).toFixed(1)),
    };
  } finally {
    await watcher.close();
    await bed.close();
  }
}
