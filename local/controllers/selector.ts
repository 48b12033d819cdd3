type Labels = Readonly<Record<string, string>>;

/** Whether `labels` has every pair of `wanted`, as a Service selects. */
export function matchesLabels(wanted: Labels, labels: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}
