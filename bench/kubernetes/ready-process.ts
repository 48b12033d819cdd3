/** `node bench/kubernetes/ready-process.ts`: how long `startKubernetes` takes on new folders, beside an empty program's start. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startKubernetes } from "../../local/index.ts";

/** Milliseconds by the clock, of each round. */
export interface ReadyTimes {
  readonly ready: readonly number[];
  readonly emptyNode: readonly number[];
}

const ready: number[] = [];
const emptyNode: number[] = [];
for (let round = 0; round < 7; round++) {
  const dataDir = mkdtempSync(join(tmpdir(), "fairlead-ready-"));
  const began = performance.now();
  const kubernetes = await startKubernetes({ dataDir });
  ready.push(performance.now() - began);
  await kubernetes.stopAll();
  rmSync(dataDir, { recursive: true });
  const before = performance.now();
  spawnSync(process.execPath, ["-e", "0"]);
  emptyNode.push(performance.now() - before);
}
process.stdout.write(`${JSON.stringify({ ready, emptyNode } satisfies ReadyTimes)}\n`);
