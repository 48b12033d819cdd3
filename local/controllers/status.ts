import { isDeepStrictEqual } from "node:util";

/**
 * Whether a stored status says all of `wanted` already. A zero, an empty list and null are as good as absent: the API
 * server keeps most counts only where they are not zero (`omitempty`), so that a plain comparison would never be content.
 */
export function saysAlready(stored: object | undefined, wanted: object): boolean {
  const said = new Map<string, unknown>(Object.entries(stored ?? {}));
  return Object.entries(wanted).every(([name, value]) =>
    isDeepStrictEqual(somethingOf(said.get(name)), somethingOf(value)),
  );
}

function somethingOf(value: unknown): unknown {
  const isNothing = value === 0 || value === null || (Array.isArray(value) && value.length === 0);
  return isNothing ? undefined : value;
}
