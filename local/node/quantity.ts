const suffixes = new Map<string, number>([
  ["n", 1e-9],
  ["u", 1e-6],
  ["m", 1e-3],
  ["", 1],
  ["k", 1e3],
  ["M", 1e6],
  ["G", 1e9],
  ["T", 1e12],
  ["P", 1e15],
  ["Ki", 2 ** 10],
  ["Mi", 2 ** 20],
  ["Gi", 2 ** 30],
  ["Ti", 2 ** 40],
  ["Pi", 2 ** 50],
]);

/** A Kubernetes quantity (`500m`, `64Mi`, `1e3`) as a number in its base unit; undefined when it is not one. */
export function parseQuantity(text: string): number | undefined {
  const [, digits, suffix] = /^([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = suffix === undefined ? undefined : suffixes.get(suffix);
  return factor === undefined ? undefined : Number(digits) * factor;
}
