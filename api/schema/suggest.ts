/** How many names a message lists before it says "and more". */
const listed = 12;

/** "did you mean" where one of `allowed` is close to `found`, else the list of what is allowed. */
export function suggest(found: string, allowed: readonly string[]): string {
  const closest = closestTo(found, allowed);
  if (closest !== undefined) return `did you mean \`${closest}\`?`;
  return allowed.length === 0 ? "none is allowed here" : `allowed are ${quoteAll(allowed)}`;
}

/** `a`, `b` and `c`, shortened when there are many. */
export function quoteAll(names: readonly string[]): string {
  const quoted = names.slice(0, listed).map((name) => (name === "" ? '""' : `\`${name}\``));
  return names.length > listed ? `${quoted.join(", ")} and ${names.length - listed} more` : quoted.join(", ");
}

function closestTo(found: string, allowed: readonly string[]): string | undefined {
  if (found.length > 100) return undefined;
  const most = found.length <= 4 ? 1 : 2;
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of allowed) {
    const distance = editDistance(found.toLowerCase(), name.toLowerCase());
    if (distance <= most && distance < (best?.distance ?? Number.POSITIVE_INFINITY))
      best = { name, distance };
  }
  return best?.name;
}

/** Levenshtein distance, where two swapped neighbours count as one edit. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
