import type { CanaryDefaults } from "../api/canary/read.ts";
import { readCanary } from "../api/canary/read.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import type { Canary } from "../api/kinds.ts";
import type { Reading } from "../api/read.ts";

/** The last reading of one Canary: its spec is read once per generation, whatever happens to its status. */
export interface KnownReading {
  readonly version: string;
  readonly reading: Reading<ReadCanary>;
}

/** Reads a Canary's spec, or takes the reading that `known` holds of the same generation. */
export function readOnce(
  object: Canary,
  known: KnownReading | undefined,
  defaults: CanaryDefaults,
): KnownReading {
  const { uid, generation } = object.metadata;
  const version = `${uid}/${generation}`;
  // An object that no server numbered may be anything.
  if (known?.version !== version || generation === undefined) {
    return { version, reading: readCanary(object, defaults) };
  }
  const { value } = known.reading;
  return value === undefined
    ? known
    : { version, reading: { ...known.reading, value: { ...value, object } } };
}
