/** A fresh JSON value takes from those that are known already what is equal: less to keep, and equal parts stay the same object. */

/** Values of this length and below are one string in V8 whoever parses them. */
const sharedByParser = 10;
/** Longer ones (messages, certificates, files) are hardly ever equal. */
const longest = 64;

/** Strings that came more than once lately; of equal ones the first is kept. */
export interface StringPool {
  /** Puts known strings in place of equal ones, at any depth of `value`, which must be its caller's own. */
  share(value: unknown): void;
}

/**
 * Makes a pool of at most twice `size` strings: kinds, reasons, names and times stand in every object of a cluster again.
 * Those that did not come again lately are forgotten.
 */
export function createStringPool(size = 4_096): StringPool {
  let recent = new Map<string, string>();
  let earlier = new Map<string, string>();

  function known(text: string): string {
    const found = recent.get(text);
    if (found !== undefined) return found;
    const kept = earlier.get(text) ?? text;
    if (recent.size >= size) {
      earlier = recent;
      recent = new Map();
    }
    recent.set(kept, kept);
    return kept;
  }

  function share(value: unknown): void {
    if (!isParent(value)) return;
    // Not by a list of the names: there is one for each part of each object that a watch brings.
    for (const key in value) {
      if (!Object.hasOwn(value, key)) continue;
      const child = value[key];
      if (typeof child !== "string") share(child);
      else if (child.length > sharedByParser && child.length <= longest) value[key] = known(child);
    }
  }

  return { share };
}

/**
 * `before` where `after` is deeply equal to it; else `after`, with each part that is equal in `before` replaced by that one.
 *
 * @param after a JSON value that is its caller's own: it is changed in place
 */
export function shareEqual<T>(before: T, after: T): T {
  return shared(before, after) as T;
}

function shared(before: unknown, after: unknown): unknown {
  if (before === after) return before;
  if (!isParent(before) || !isParent(after) || Array.isArray(before) !== Array.isArray(after)) return after;
  let isEqual = true;
  let more = 0;
  for (const key in before) if (Object.hasOwn(before, key)) more++;
  for (const key in after) {
    if (!Object.hasOwn(after, key)) continue;
    const old = before[key];
    const child = after[key];
    const kept = Object.hasOwn(before, key) ? shared(old, child) : child;
    // Of equal strings, too, the old one is kept.
    after[key] = kept;
    if (kept !== old) isEqual = false;
    more--;
  }
  return isEqual && more === 0 ? before : after;
}

function isParent(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
