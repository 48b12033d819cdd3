/** metav1.LabelSelector. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** Whether labels fit a selector; an unknown operator fits nothing. An empty selector fits all. */
export function fitsSelector(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, wanted]) => value(key) === wanted) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const present = value(key);
      switch (operator) {
        case "In":
          return present !== undefined && values.includes(present);
        case "NotIn":
          return present === undefined || !values.includes(present);
        case "Exists":
          return present !== undefined;
        case "DoesNotExist":
          return present === undefined;
        default:
          return false;
      }
    })
  );
}
