import { startWorld } from "../../cli/demo/world.ts";
import type { Benchmark } from "../benchmark.ts";
import { quantile } from "./figures.ts";
import { breakVersion, deploy, load, type ProductRun } from "./product.ts";
import { rawLoop } from "./raw-loop.ts";

const explain = `
From a version's first failed answer to its last answer, as the client sees it.

\`fairlead up\` with the demo's shop (2 pods) and load client behind real Envoys with mTLS; ${load.rate} requests a second,
the canary at weight ${load.weight}, so that ${(load.rate * load.weight) / 100} a second reach it. A version is released, and at a random moment
between two ticks it begins to answer 500 to everything. The figures come from the load client's own record.

faultToZeroP50Ms, faultToZeroMaxMs  first failed answer to the broken version's last answer, milliseconds; median and
                                    maximum over all faults
runs                                faults
harmedRequests                      failed requests over all faults; harmedRequestsP50: of one
unexplained                         failed requests before a fault or begun after a rollback: 0 is the promise
limitP50Ms, limitMaxMs, limitRuns   the same with the evidence left out, measured in the same run: one Envoy, the
                                    product's xDS server and signals, and a decider that sets weight 0 by RTDS at the
                                    first failed attempt. What the log's flush (50 ms), the push and what is under
                                    way take; the rest of faultToZero is the evidence that the trip wire asks for
                                    (10 attempts and 0.5 s).
`;

export const benchmark: Benchmark = {
  explain,
  async run({ args, say }) {
    const faults = Number(args[args.indexOf("--runs") + 1] ?? 12) || 12;
    const runs: ProductRun[] = [];
    say("starting `fairlead up`, the shop and its load");
    const world = await startWorld({ yes: true });
    try {
      const tail = await deploy(world);
      for (let fault = 1; fault <= faults; fault++) {
        const run = await breakVersion(world, tail, String(fault), 300 + Math.random() * 2200);
        runs.push(run);
        say(`fault ${fault}: ${run.faultToZeroMs.toFixed(0)} ms, ${run.harmed} requests failed`);
      }
    } finally {
      await world.stop();
    }
    const limit = (await rawLoop(faults, say)).map(({ faultToZeroMs }) => faultToZeroMs);
    const times = runs.map(({ faultToZeroMs }) => faultToZeroMs);
    const harmed = runs.map((run) => run.harmed);
    const figures = {
      faultToZeroP50Ms: Math.round(quantile(times, 0.5)),
      faultToZeroMaxMs: Math.round(Math.max(...times)),
      runs: runs.length,
      harmedRequests: harmed.reduce((sum, count) => sum + count, 0),
      harmedRequestsP50: quantile(harmed, 0.5),
      unexplained: runs.reduce((sum, run) => sum + run.unexplained, 0),
      limitP50Ms: Math.round(quantile(limit, 0.5)),
      limitMaxMs: Math.round(Math.max(...limit)),
      limitRuns: limit.length,
      envoyVersion: world.ready.envoyVersion,
    };
    const text = [
      `fault to weight 0, ${figures.runs} faults      median ${figures.faultToZeroP50Ms} ms   maximum ${figures.faultToZeroMaxMs} ms`,
      `the loop without evidence      median ${figures.limitP50Ms} ms   maximum ${figures.limitMaxMs} ms`,
      `failed requests of a fault     median ${figures.harmedRequestsP50}   in all ${figures.harmedRequests}   unexplained ${figures.unexplained}`,
    ].join("\n");
    const failed =
      figures.unexplained > 0 ? `${figures.unexplained} requests failed that no fault explains` : undefined;
    return { figures, text, ...(failed === undefined ? {} : { failed }) };
  },
};
