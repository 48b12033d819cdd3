import type { Percent } from "../../lib/units.ts";
import type { AnalysisStep, CanaryAnalysis } from "../generated/canaries.ts";
import { below } from "../schema/pointer.ts";
import { quoteAll } from "../schema/suggest.ts";
import { show } from "../schema/validate.ts";
import { type Report, readDuration, readWhole } from "./fields.ts";
import type { Mirror, Provider, StepHold, Strategy } from "./types.ts";

/**
 * Which of Flagger's strategies the analysis asks for: `iterations` with `match` is A/B testing, without it blue/green,
 * `stepWeight` or `stepWeights` is the canary by weights. Exactly one of the three must be there.
 * On plain Kubernetes no traffic can be split: as in Flagger, weights become 10 iterations there.
 */
export function readStrategy(
  analysis: CanaryAnalysis,
  field: string,
  provider: Provider,
  report: Report,
): Strategy {
  const names = ["stepWeight", "stepWeights", "steps", "iterations"] as const;
  const given = names.filter((name) => analysis[name] !== undefined);
  if (given.length === 0) report(field, `needs one of ${quoteAll(names)}`);
  if (given.length > 1) report(field, `takes only one of ${quoteAll(names)}, has ${quoteAll(given)}`);

  const mirror = readMirror(analysis, field, report);
  const match = analysis.match ?? [];
  if (analysis.iterations !== undefined) {
    const iterations = readWhole(
      analysis.iterations,
      below(field, "iterations"),
      { least: 1, fallback: 1 },
      report,
    );
    if (match.length > 0 && provider !== "kubernetes") return { kind: "ab-testing", iterations, match };
    if (match.length > 0)
      report(below(field, "match"), "is ignored: provider `kubernetes` cannot route by request", "warning");
    return { kind: "blue-green", iterations, ...(mirror && { mirror }) };
  }
  const weights = readWeights(analysis, field, report);
  if (provider === "kubernetes") {
    report(
      below(field, given[0] ?? "stepWeight"),
      "is ignored: provider `kubernetes` cannot split traffic, 10 iterations are run",
      "warning",
    );
    return { kind: "blue-green", iterations: 10 };
  }
  return { kind: "weights", ...weights, match, ...(mirror && { mirror }) };
}

function readMirror(
  { mirror, mirrorWeight }: CanaryAnalysis,
  field: string,
  report: Report,
): Mirror | undefined {
  const weight = readWhole(
    mirrorWeight,
    below(field, "mirrorWeight"),
    { least: 0, most: 100, fallback: 100 },
    report,
  );
  if (mirrorWeight !== undefined && mirror !== true)
    report(below(field, "mirrorWeight"), "is ignored without `mirror: true`", "warning");
  return mirror ? { weight: weight === 0 ? 100 : weight } : undefined;
}

interface Weights {
  readonly steps: readonly Percent[];
  readonly stepWeight?: Percent;
  readonly maxWeight: Percent;
  readonly holds: ReadonlyMap<Percent, StepHold>;
}

/**
 * The weights in order. The last is maxWeight itself where stepWeight does not divide it (Flagger goes beyond); with
 * stepWeights maxWeight does not count, as in Flagger.
 */
function readWeights(
  { stepWeight, stepWeights, steps: given, maxWeight }: CanaryAnalysis,
  field: string,
  report: Report,
): Weights {
  if (given !== undefined) return readSteps(given, maxWeight, field, report);
  if (stepWeights !== undefined) return readStepWeights(stepWeights, maxWeight, "stepWeights", field, report);
  const step = readWhole(
    stepWeight,
    below(field, "stepWeight"),
    { least: 1, most: 100, fallback: 100 },
    report,
  );
  const most =
    readWhole(maxWeight, below(field, "maxWeight"), { least: 0, most: 100, fallback: 100 }, report) || 100;
  const steps = Array.from({ length: Math.ceil(most / step) }, (_, index) =>
    Math.min(step * (index + 1), most),
  );
  return {
    steps,
    maxWeight: most,
    holds: new Map(),
    ...(stepWeight === undefined ? {} : { stepWeight: step }),
  };
}

function readStepWeights(
  stepWeights: readonly number[],
  maxWeight: number | undefined,
  name: "stepWeights" | "steps",
  field: string,
  report: Report,
): Weights {
  const at = below(field, name);
  if (stepWeights.length === 0) report(at, "is empty, must hold at least one weight");
  if (maxWeight !== undefined)
    report(below(field, "maxWeight"), `is ignored: the last of \`${name}\` counts`, "warning");
  const steps = stepWeights.map((weight, index) => {
    const read = readWhole(weight, below(at, index), { least: 1, most: 100, fallback: 100 }, report);
    const before = stepWeights[index - 1];
    if (before !== undefined && weight <= before)
      report(below(at, index), `is ${show(weight)}, must be more than the weight before it (\`${before}\`)`);
    return read;
  });
  return { steps: steps.length > 0 ? steps : [100], maxWeight: steps.at(-1) ?? 100, holds: new Map() };
}

/** `steps`: weights as in `stepWeights`, each with the time that it is held at least, and whether it waits for a person. */
function readSteps(
  steps: readonly AnalysisStep[],
  maxWeight: number | undefined,
  field: string,
  report: Report,
): Weights {
  const weights = steps.map(({ weight }) => weight);
  const read = readStepWeights(weights, maxWeight, "steps", field, report);
  const holds = steps.map(({ duration, pause }, index): readonly [Percent, StepHold] => {
    const at = below(below(below(field, "steps"), index), "duration");
    const least = duration === undefined ? 0 : readDuration(duration, at, { least: 0, fallback: 0 }, report);
    return [read.steps[index] ?? 100, { duration: least, pause: pause ?? false }];
  });
  return { ...read, holds: new Map(holds.filter(([, { duration, pause }]) => duration > 0 || pause)) };
}
