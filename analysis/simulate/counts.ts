/** Random counts: exact samplers, fast at any size. */
import { logGamma } from "../judge/binomial.ts";
import type { Random } from "./random.ts";

/** Poisson: products of uniforms below a mean of 10, transformed rejection (Hörmann 1993, PTRS) above. */
export function poisson(random: Random, mean: number): number {
  if (mean <= 0) return 0;
  if (mean < 10) {
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = random.uniform(); product > limit; product *= random.uniform()) count++;
    return count;
  }
  const logMean = Math.log(mean);
  const b = 0.931 + 2.53 * Math.sqrt(mean);
  const a = -0.059 + 0.02483 * b;
  const inverseAlpha = 1.1239 + 1.1328 / (b - 3.4);
  const edge = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const u = random.uniform() - 0.5;
    const v = random.uniform();
    const distance = 0.5 - Math.abs(u);
    const count = Math.floor(((2 * a) / distance + b) * u + mean + 0.43);
    if (distance >= 0.07 && v <= edge) return count;
    if (count < 0 || (distance < 0.013 && v > distance)) continue;
    if (
      Math.log((v * inverseAlpha) / (a / (distance * distance) + b)) <=
      count * logMean - mean - logGamma(count + 1)
    ) {
      return count;
    }
  }
}

/** Binomial: inversion where few successes are expected, transformed rejection (Hörmann 1993, BTRS) elsewhere. */
export function binomial(random: Random, trials: number, probability: number): number {
  if (trials <= 0 || probability <= 0) return 0;
  if (probability >= 1) return trials;
  if (probability > 0.5) return trials - binomial(random, trials, 1 - probability);
  return trials * probability < 10
    ? binomialByInversion(random, trials, probability)
    : binomialByRejection(random, trials, probability);
}

function binomialByInversion(random: Random, trials: number, probability: number): number {
  const odds = probability / (1 - probability);
  const start = Math.exp(trials * Math.log1p(-probability));
  for (;;) {
    let rest = random.uniform();
    let term = start;
    for (let count = 0; count <= trials && count <= 120; count++) {
      if (rest <= term) return count;
      rest -= term;
      term *= (odds * (trials - count)) / (count + 1);
    }
    // Rounding used the probability up: draw again.
  }
}

function binomialByRejection(random: Random, trials: number, probability: number): number {
  const deviation = Math.sqrt(trials * probability * (1 - probability));
  const b = 1.15 + 2.53 * deviation;
  const a = -0.0873 + 0.0248 * b + 0.01 * probability;
  const c = trials * probability + 0.5;
  const edge = 0.92 - 4.2 / b;
  const odds = probability / (1 - probability);
  const alpha = (2.83 + 5.1 / b) * deviation;
  const mode = Math.floor((trials + 1) * probability);
  for (;;) {
    const u = random.uniform() - 0.5;
    const v = random.uniform();
    const distance = 0.5 - Math.abs(u);
    const count = Math.floor(((2 * a) / distance + b) * u + c);
    if (distance >= 0.07 && v <= edge) return count;
    if (count < 0 || count > trials) continue;
    const accepted =
      (mode + 0.5) * Math.log((mode + 1) / (odds * (trials - mode + 1))) +
      (trials + 1) * Math.log((trials - mode + 1) / (trials - count + 1)) +
      (count + 0.5) * Math.log((odds * (trials - count + 1)) / (count + 1)) +
      stirlingTail(mode) +
      stirlingTail(trials - mode) -
      stirlingTail(count) -
      stirlingTail(trials - count);
    if (Math.log((v * alpha) / (a / (distance * distance) + b)) <= accepted) return count;
  }
}

const stirlingTails = [
  0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.020790672103765, 0.0166446911898211,
  0.0138761288230707, 0.0118967099458917, 0.010411265261972, 0.00925546218271273, 0.00833056343336287,
] as const;

/** ln(k!) less Stirling's approximation of it. */
function stirlingTail(k: number): number {
  const known = stirlingTails[k];
  if (known !== undefined) return known;
  const next = k + 1;
  const square = next * next;
  return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / next;
}

/** Failures before `successes` successes of this probability: a Poisson count whose mean is gamma distributed. */
export function negativeBinomial(random: Random, successes: number, probability: number): number {
  return poisson(random, random.gamma(successes, (1 - probability) / probability));
}

/** Divides `trials` among cells of these probabilities, which add up to 1. */
export function multinomial(random: Random, trials: number, probabilities: readonly number[]): number[] {
  let left = trials;
  let share = 1;
  return probabilities.map((probability, cell) => {
    if (left === 0) return 0;
    const count =
      cell === probabilities.length - 1 ? left : binomial(random, left, Math.min(1, probability / share));
    left -= count;
    share -= probability;
    return count;
  });
}
