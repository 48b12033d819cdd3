import { numberOption, type Soak, textOption } from "../soak.ts";
import { sweepEmbedded } from "./sweep.ts";
import { sweepUnderLoad } from "./under-load.ts";

export const soak: Soak = {
  explain: `
Kills the controller with SIGKILL before and after each write that it sends to the API server in a whole rollout, from the
first sight of the target to the end of the run, for each strategy and each way a run ends, and starts it again. A crash
point passes when the rollout ends as the one that was not killed (objects, weights, phase, history), in at most
2 intervals + 5 s more than that (the start of the new process and its waits for a core that others had not counted, its
wait for the lease is), and when
these held in every stored version: weights sum to 100 (I1), no weight for a canary without a ready pod (I2), the primary's
template changes while promoting only (I3), the run of a weight is the stored one and lease epochs do not go back (I4),
phases follow the graph (I5), no interval is counted twice (I6), no weight rises after a rollback began; hooks are called
at least once. Writes are counted in each rollout by itself, and the sweep of a scenario ends at the write that none of four
rollouts came to.

Then crash points drawn by seed on real Envoys under load, 100 requests a second through a client's sidecar: there the whole
control plane is killed at a write of its controller, while API server, pods and proxies go on. Such a point passes
when the same holds and no request has failed.

  --only TEXT     only scenarios whose name contains it ("Envoys": only those on Envoys)
  --parallel N    rollouts at a time, each on an embedded API server of its own (8)
  --write N       only the crash points at this write
  --envoys N      crash points on Envoys (12; 0: none)
  --seed N        of the draw (77)
`,
  async run({ args, say }) {
    const only = textOption(args, "only") ?? "";
    const embedded = await sweepEmbedded({
      say,
      parallel: numberOption(args, "parallel", 8),
      only,
      write: numberOption(args, "write", -1),
    });
    const points = numberOption(args, "envoys", only === "" || only === "Envoys" ? 12 : 0);
    if (points === 0) return embedded;
    const onEnvoys = await sweepUnderLoad({ say, points, seed: numberOption(args, "seed", 77) });
    return {
      passed: embedded.passed + onEnvoys.passed,
      failed: embedded.failed + onEnvoys.failed,
    };
  },
};
