import { defaultAnalysis } from "../../../bench/signals/plan.ts";
import { median, openVerdictBed, type VerdictBed } from "../../e2e/support/verdict.ts";
import { numberOption, type Soak } from "../soak.ts";

interface Case {
  readonly title: string;
  readonly analysis: object;
  /** Share of the canary's requests that fail. */
  readonly failing: number;
  /** Seconds that the failure lasts; to the verdict where it must come. */
  readonly lasts?: number;
  /** Median of the seconds to the verdict at most; absent: none may come in half a minute. */
  readonly within?: number;
}

const sequential = { ...defaultAnalysis, sequential: {} };
const loose = {
  ...defaultAnalysis,
  metrics: [{ name: "request-success-rate", thresholdRange: { min: 90 } }],
};

const cases: readonly Case[] = [
  { title: "total outage, trip wire", analysis: defaultAnalysis, failing: 1, within: 0.8 },
  { title: "10 % failing, sequential", analysis: sequential, failing: 0.1, within: 20 },
  { title: "2 % failing, sequential", analysis: sequential, failing: 0.02, within: 120 },
  { title: "one bad second, guard", analysis: defaultAnalysis, failing: 0.6, lasts: 1 },
  { title: "one bad second, sequential", analysis: sequential, failing: 0.6, lasts: 1 },
  { title: "8 % failing where 90 % may succeed, guard", analysis: loose, failing: 0.08, lasts: 30 },
];

/** `test/e2e/verdict.test.ts` again and again. */
export const soak: Soak = {
  explain: `
From the first failing response on a real Envoy to the roll-back verdict, 50 requests a second at the canary, a tenth of
all; each case --rounds times (10). Passes where the median is within the limit, and where no verdict fell that must not.

${cases.map(({ title, within }) => `${title}: ${within === undefined ? "no verdict" : `at most ${within} s`}`).join("\n")}
`,
  async run({ args, say }) {
    const rounds = numberOption(args, "rounds", 10);
    const bed = await openVerdictBed(50);
    let passed = 0;
    try {
      for (const one of cases) {
        const delays: number[] = [];
        for (let round = 0; round < rounds; round++) delays.push(await delayOf(bed, one));
        const fell = delays.filter((delay) => Number.isFinite(delay));
        const holds = one.within === undefined ? fell.length === 0 : median(delays) <= one.within * 1000;
        if (holds) passed += 1;
        const figures =
          fell.length === 0
            ? "no verdict"
            : `median ${Math.round(median(delays))} ms, slowest ${Math.round(Math.max(...delays))} ms, ${fell.length} verdicts`;
        say(`${holds ? "holds" : "FAILS"}  ${one.title}: ${figures} in ${rounds} rounds`);
      }
    } finally {
      await bed.stop();
    }
    return { passed, failed: cases.length - passed };
  },
};

/** Milliseconds to the verdict; infinite where none fell. */
async function delayOf(bed: VerdictBed, { analysis, failing, lasts, within }: Case): Promise<number> {
  await bed.begin(analysis);
  await bed.fail(failing);
  const during = await bed.verdict(lasts ?? 2 * (within ?? 15) + 10);
  if (during !== undefined || within !== undefined) return during?.delay ?? Number.POSITIVE_INFINITY;
  await bed.fail(0);
  return (await bed.verdict(8))?.delay ?? Number.POSITIVE_INFINITY;
}
