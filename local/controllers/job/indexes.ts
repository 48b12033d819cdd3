import type { Pod } from "../../../api/core.ts";

export const indexAnnotation = "batch.kubernetes.io/job-completion-index";

/** The completion index of a pod of an Indexed job; -1 where it has none. */
export function completionIndexOf({ metadata }: Pod): number {
  const text = metadata.annotations?.[indexAnnotation];
  return text === undefined ? -1 : Number(text);
}

/** Reads `status.completedIndexes`, e.g. `1,3-5,7`. */
export function readIndexes(text: string | undefined): readonly number[] {
  return (text ?? "").split(",").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    if (part === "" || first === undefined || last === undefined) return [];
    return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
  });
}

/** Writes indexes as `status.completedIndexes` has them: runs of three or more with a dash. */
export function formatIndexes(indexes: ReadonlySet<number>): string {
  const runs: { first: number; last: number }[] = [];
  for (const index of [...indexes].filter((one) => one >= 0).sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run && run.last === index - 1) run.last = index;
    else runs.push({ first: index, last: index });
  }
  return runs
    .map(({ first, last }) => {
      if (first === last) return String(first);
      return last === first + 1 ? `${first},${last}` : `${first}-${last}`;
    })
    .join(",");
}
