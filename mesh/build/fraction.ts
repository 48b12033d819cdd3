import { create } from "@bufbuild/protobuf";
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
  FractionalPercentSchema,
} from "../../envoy/generated/envoy/type/v3/percent_pb.js";

/** Denominators from coarse to fine, with the value that stands for one percent. */
const denominators = [
  { denominator: Denominator.HUNDRED, perPercent: 1 },
  { denominator: Denominator.TEN_THOUSAND, perPercent: 100 },
  { denominator: Denominator.MILLION, perPercent: 10_000 },
] as const;

/**
 * A percentage as Envoy's fraction, of the coarsest denominator that holds it, but no coarser than the `finer`th: 0 is
 * HUNDRED, 1 TEN_THOUSAND, 2 MILLION.
 */
export function fraction(percent: number, finer = 0): FractionalPercent {
  const least = Number.isInteger(percent) ? 0 : Number.isInteger(percent * 100) ? 1 : 2;
  const { denominator, perPercent } = denominators[Math.min(Math.max(least, finer), 2)] ?? denominators[2];
  return create(FractionalPercentSchema, { numerator: Math.round(percent * perPercent), denominator });
}

/**
 * The fractions of several mirrors of one route.
 *
 * Envoy draws one random number for a request's weights and for each of its mirrors, and takes its remainder by each
 * denominator. Whole percents of 100, of 10,000 and of 1,000,000 are independent of one another, as a remainder by the
 * coarser says nothing of how many times it goes into the finer. So the first mirror gets the coarsest.
 */
export function mirrorFractions(percents: readonly number[]): FractionalPercent[] {
  let finer = 0;
  return percents.map((percent) => {
    // All requests are mirrored, whatever is drawn.
    if (percent >= 100) return fraction(100);
    const chosen = fraction(percent, finer);
    finer = denominators.findIndex(({ denominator }) => denominator === chosen.denominator) + 1;
    return chosen;
  });
}

/** What weights beside these fractions must sum to, so that neither tells of the other. */
export function weightsBeside(fractions: readonly FractionalPercent[]): number {
  const finest = fractions.some(({ denominator }) => denominator === Denominator.MILLION);
  return finest ? 100_000_000 : 1_000_000;
}
