import { numberOption, type Soak, textOption } from "../soak.ts";
import { sweepEmbedded } from "./sweep.ts";

export const soak: Soak = {
  explain: `
Kills the controller with SIGKILL before and after each write that it sends to the API server in a whole rollout, from the
first sight of the target to the end of the run, for each strategy and each way a run ends, and starts it again. A crash
point passes when the rollout ends as the one that was not killed (objects, weights, phase, history), in at most
2 intervals + 5 s more than that (the start of the new process not counted, its wait for the lease is), and when
these held in every stored version: weights sum to 100 (I1), no weight for a canary without a ready pod (I2), the primary's
template changes while promoting only (I3), the run of a weight is the stored one and lease epochs do not go back (I4),
phases follow the graph (I5), no interval is counted twice (I6), no weight rises after a rollback began; hooks are called
at least once.

  --only TEXT     only scenarios whose name contains it
  --parallel N    rollouts at a time (6)
  --write N       only the crash points at this write
`,
  async run({ args, say }) {
    return sweepEmbedded({
      say,
      parallel: numberOption(args, "parallel", 6),
      only: textOption(args, "only") ?? "",
      write: numberOption(args, "write", -1),
    });
  },
};
