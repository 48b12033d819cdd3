/** A fresh JSON value takes from those that are known already what is equal: less to keep, and equal parts stay the same object. */

/** Values of this length and below are one string in V8 whoever parses them. */
const sharedByParser = 10;
/** Longer ones (messages, certificates, files) are hardly ever equal. */
const longest = 64;

/** Strings that came more than once lately; of equal ones the first is kept. */
export interface StringPool {
  /** Puts known strings in place of equal ones, at any depth of `value`, which must be its caller's own. */
  share(value: unknown): void;
  /** The known string that is equal to `text`, which is known from now on. */
  one(text: string): string;
}

/**
 * Makes a pool of at most twice `size` strings: kinds, reasons, names and times stand in every object of a cluster again.
 * Those that did not come again lately are forgotten.
 */
export function createStringPool(size = 4_096): StringPool {
  let recent = new Map<string, string>();
  let earlier = new Map<string, string>();

  function one(text: string): string {
    if (text.length <= sharedByParser || text.length > longest) return text;
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
    for (const key of Object.keys(value)) {
      const child = value[key];
      if (typeof child === "string") value[key] = one(child);
      else share(child);
    }
  }

  return { share, one };
}

/**
 * `before` where `after` is deeply equal to it; else `after`, with each part that is equal in `before` replaced by that one.
 *
 * @param after a JSON value that is its caller's own: it is changed in place
 * @param strings where the strings of what is not equal are shared
 */
export function shareEqual<T>(before: T, after: T, strings: StringPool): T {
  return shared(before, after, strings) as T;
}

function shared(before: unknown, after: unknown, strings: StringPool): unknown {
  if (before === after) return before;
  if (typeof after === "string") return strings.one(after);
  if (!isParent(after)) return after;
  if (!isParent(before) || Array.isArray(before) !== Array.isArray(after)) {
    strings.share(after);
    return after;
  }
  const keys = Object.keys(after);
  let isEqual = keys.length === Object.keys(before).length;
  for (const key of keys) {
    const old = before[key];
    const child = after[key];
    const kept = shared(Object.hasOwn(before, key) ? old : undefined, child, strings);
    // Of equal strings, too, the old one is kept.
    after[key] = kept;
    if (kept !== old) isEqual = false;
  }
  return isEqual ? before : after;
}

function isParent(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
