import type { Workload } from "./kind.ts";

/** The one label that tells a target's pods from the primary's. */
export interface SelectorLabel {
  readonly name: string;
  /** The target's own value; the primary's is {@link primaryValue}. */
  readonly value: string;
}

/** Flagger's default of `-selector-labels`. */
export const defaultSelectorLabels = ["app", "name", "app.kubernetes.io/name"] as const;

/**
 * The first of `names` that stands in the target's `matchLabels`.
 *
 * @returns undefined where none does: the primary could then not be told from the target
 */
export function selectorLabel(target: Workload, names: readonly string[]): SelectorLabel | undefined {
  const labels = target.spec?.selector.matchLabels ?? {};
  for (const name of names) {
    const value = labels[name];
    if (value !== undefined && value !== "") return { name, value };
  }
  return undefined;
}

export function primaryValue({ value }: SelectorLabel): string {
  return `${value}-primary`;
}
