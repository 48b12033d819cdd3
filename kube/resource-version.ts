/**
 * Negative where `a` is older than `b`, positive where it is newer, 0 where they are equal.
 *
 * Versions of one kind are growing decimal numbers, longer than a double holds. Where either is missing or no number,
 * unequal ones count as newer: better applied twice than missed.
 */
export function compareVersions(a: string | undefined, b: string | undefined): number {
  if (a === b && a !== undefined) return 0;
  if (a === undefined || b === undefined || !/^\d+$/.test(a) || !/^\d+$/.test(b)) return 1;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}

/** The newer of two; `b` where `a` is missing. */
export function later(a: string | undefined, b: string | undefined): string | undefined {
  return a !== undefined && compareVersions(a, b) > 0 ? a : b;
}
