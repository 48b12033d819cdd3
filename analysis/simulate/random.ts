/** A seeded source of random numbers: the same seed gives the same world, on every machine. */
export interface Random {
  /** Uniform in (0, 1). */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** Exponential with this mean. */
  exponential(mean: number): number;
  /** Gamma with this shape (above 0) and scale. */
  gamma(shape: number, scale: number): number;
}

/**
 * A generator for a seed and names, e.g. scenario and rule: each combination has a stream of its own.
 * sfc32 (Doty-Humphrey), which passes PractRand; seeded through FNV-1a and 16 rounds of its own.
 */
export function createRandom(seed: number, ...names: readonly string[]): Random {
  const uniform = sfc32(hashOf(`${seed}/${names.join("/")}`), seed >>> 0);
  let spare: number | undefined;
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    // Marsaglia's polar method: two at a time.
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      spare = y * factor;
      return x * factor;
    }
  };
  return {
    uniform,
    normal,
    exponential: (mean) => -mean * Math.log(uniform()),
    gamma: (shape, scale) => gamma(shape, uniform, normal) * scale,
  };
}

/** Marsaglia and Tsang (2000); a shape below 1 by a power of a uniform. */
function gamma(shape: number, uniform: () => number, normal: () => number): number {
  if (shape < 1) return gamma(shape + 1, uniform, normal) * uniform() ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

function sfc32(first: number, second: number): () => number {
  let a = first;
  let b = second;
  let c = 0x9e3779b9;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    // Never 0 or 1: logarithms of it are taken.
    return ((sum >>> 0) + 0.5) / 4_294_967_296;
  };
  for (let round = 0; round < 16; round++) next();
  return next;
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash;
}
