import { interval } from "./manifests.ts";
import { startBed } from "./processes.ts";
import { sleep, startWatcher, until } from "./watcher.ts";

export interface AtOnceOptions {
  readonly canaries: number;
  readonly say: (line: string) => void;
}

const stepWeight = 10;
const steps = 5;
const watched = 200_000;

/**
 * All canaries changed at once: what the controller uses in the 200 s that follow, and when the last one is through, beside
 * how soon one more is that was changed before them, alone.
 */
export async function atOnce({ canaries, say }: AtOnceOptions) {
  const bed = await startBed();
  const watcher = await startWatcher(bed.connection);
  try {
    await watcher.create(canaries + 1, stepWeight);
    await sleep(10_000);
    say(`one of ${canaries + 1} canaries changed alone`);
    const beganAlone = performance.now();
    await watcher.release(canaries);
    await until(() => watcher.inPhase("Succeeded") === 1, 200);
    const alone = performance.now() - beganAlone;
    await sleep(5000);
    say(`the other ${canaries} changed at once`);
    const before = await bed.usage();
    const began = performance.now();
    await Promise.all(Array.from({ length: canaries }, (_, number) => watcher.release(number)));
    let allThrough: number | undefined;
    while (performance.now() - began < watched) {
      await sleep(100);
      if (allThrough === undefined && watcher.inPhase("Succeeded") === canaries + 1)
        allThrough = performance.now();
    }
    const after = await bed.usage();
    return {
      cpuSecondsPer200s: Number((after.cpuSeconds - before.cpuSeconds).toFixed(2)),
      idealSeconds: (steps * interval) / 1000,
      aloneSeconds: Number((alone / 1000).toFixed(1)),
      allThroughSeconds:
        allThrough === undefined ? undefined : Number(((allThrough - began) / 1000).toFixed(1)),
    };
  } finally {
    await watcher.close();
    await bed.close();
  }
}
