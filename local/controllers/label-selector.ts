import { type LabelMatch, readLabelSelector } from "../apiserver/selectors/labels.ts";

const none: LabelMatch = () => false;

/** Selectors come from immutable objects, so each is read once. */
const read = new WeakMap<object, LabelMatch>();

/** Whether a LabelSelector (`matchLabels`, `matchExpressions`) picks `labels`; one that is absent or empty picks nothing. */
export function matches(selector: unknown, labels: Readonly<Record<string, string>> = {}): boolean {
  if (typeof selector !== "object" || selector === null) return false;
  const known = read.get(selector) ?? (isEmpty(selector) ? none : readLabelSelector(selector));
  read.set(selector, known);
  return known(labels);
}

function isEmpty(selector: object): boolean {
  return Object.values(selector).every(
    (part) => part === undefined || part === null || Object.keys(part).length === 0,
  );
}
