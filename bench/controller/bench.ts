import type { Benchmark, Figures } from "../benchmark.ts";
import { atOnce } from "./at-once.ts";
import { manyCanaries } from "./many.ts";

const explain = `
The controller with many canaries, on the embedded API server.

Three processes: the API server with the Deployment and ReplicaSet controllers and a node that calls pods ready without
starting them; the controller (startController with its lease, recorder, hooks and analyst), whose own processor time and
memory are the figures; and this one, which watches from outside. The signals of runs (a window a second of both
arms, sides and halves) are made within the controller's process and count against it; reading the proxies' reports is
not in it, that is the mesh's.

canaries, running     Canaries there are, and how many of them are rolled out at once (interval 10 s, both built-in checks);
                      their changes are spread over one interval
jitterP99Ms           how far a step is from its beat (first weight + n intervals), by the stored route; 99 of 100 are nearer
cpuShare              share of a core while the running ones step
rssMb                 resident memory, the most of all samples, idle and running, after the start
idleReadsPerMinute    GET and LIST requests in a minute in which nothing changes (watches that are resumed are not counted)
firstWeightMs         from the Deployment's status that says its pods are ready to the stored first weight; median
rollbackMs            from the first failing attempt, all of the canary's failing, 50 requests a second at a weight of half, to
                      the stored weight 0; median of 40 canaries
cpuSecondsPer200s     with 200 canaries, all changed at once: processor time of the controller in the 200 s that follow
allThroughSeconds     when the last of the 200 had been promoted
idealSeconds          the least time that the steps of their plan take (five weights, 10 s each)
aloneSeconds          what one canary takes that is changed alone: its steps, and the cluster's time to start and roll pods
initializedSeconds    how long all canaries took from their creation to Initialized (no promise; the API server's time, too)
`;

export const benchmark: Benchmark = {
  explain,
  async run({ args, say }) {
    const option = (name: string, fallback: number): number =>
      Number(args[args.indexOf(`--${name}`) + 1] ?? fallback) || fallback;
    const canaries = option("canaries", 2000);
    const running = option("running", 200);
    const many = await manyCanaries({ canaries, running, say });
    const together = await atOnce({ canaries: running, say });
    const figures: Figures = { canaries, running, ...many, ...together };
    const text = Object.entries(figures)
      .map(([name, value]) => `${name.padEnd(22)}${value}`)
      .join("\n");
    return { figures, text };
  },
};
