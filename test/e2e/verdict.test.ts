/** From the first failing response on a real Envoy to the verdict; `npm run soak -- verdict` repeats it more often. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaultAnalysis } from "../../bench/signals/plan.ts";
import { envoyMissing } from "../support/envoy.ts";
import { median, openVerdictBed, type VerdictBed } from "./support/verdict.ts";

const sequential = { ...defaultAnalysis, sequential: {} };

describe.skipIf(envoyMissing)("50 requests a second at the canary, on a real Envoy", () => {
  let bed: VerdictBed;
  beforeAll(async () => {
    bed = await openVerdictBed(50);
  });
  afterAll(() => bed.stop());

  test("a total outage trips within 0.8 s (median)", async () => {
    const delays: number[] = [];
    for (let fault = 0; fault < 3; fault++) {
      await bed.begin(defaultAnalysis);
      await bed.fail(1);
      const verdict = await bed.verdict(20);
      expect(verdict?.reason).toMatch(/^all \d+ attempts at the canary/);
      delays.push(verdict?.delay ?? Number.POSITIVE_INFINITY);
    }
    expect(median(delays)).toBeLessThanOrEqual(800);
  });

  test.for([
    [0.1, 20],
    [0.02, 120],
  ] as const)(
    "with `sequential: {}` %d of the requests failing is found within %d s",
    async ([share, seconds]) => {
      await bed.begin(sequential);
      await bed.fail(share);
      const verdict = await bed.verdict(seconds + 10);
      expect(verdict?.reason).toMatch(/request-success-rate|errors/);
      expect(verdict?.delay).toBeLessThanOrEqual(seconds * 1000);
    },
  );

  test.for([
    ["the guard", defaultAnalysis],
    ["sequential", sequential],
  ] as const)("one bad second alone never decides: %s", async ([, analysis]) => {
    await bed.begin(analysis);
    await bed.fail(0.6);
    expect(await bed.verdict(1)).toBeUndefined();
    await bed.fail(0);
    expect(await bed.verdict(6)).toBeUndefined();
  });

  test("a canary inside its author's thresholds is not ended by the guard", async () => {
    const metrics = [{ name: "request-success-rate", thresholdRange: { min: 90 } }];
    await bed.begin({ ...defaultAnalysis, metrics });
    await bed.fail(0.08);
    expect(await bed.verdict(20)).toBeUndefined();
    // The same guard ends it once it leaves them.
    await bed.fail(0.5);
    expect((await bed.verdict(30))?.reason).toMatch(/request-success-rate|errors/);
  });
});
