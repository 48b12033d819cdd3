/**
 * Kubernetes' quantities: `500m`, `1.5Gi`, `2e3`, as whole numbers of nano-units.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */

const form = /^([+-]?)(\d*)(?:\.(\d*))?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?$/;

const decimal: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binary: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const nano = 1_000_000_000n;

interface Parsed {
  /** In units of 10^-9, rounded up as Kubernetes does. */
  readonly nanos: bigint;
  readonly format: "decimal" | "binary" | "exponent";
}

/** Reads a quantity; undefined where it is none. */
function parse(text: string): Parsed | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", suffix = ""] = match;
  if (whole === "" && fraction === "") return undefined;
  const digits = BigInt(`${whole}${fraction}`);
  const exponent = /^[eE]/.test(suffix) && suffix.length > 1 ? Number(suffix.slice(1)) : undefined;
  const shift = binary[suffix];
  let nanos: bigint;
  if (shift !== undefined)
    nanos = divideUp(digits * nano * 2n ** BigInt(shift), 10n ** BigInt(fraction.length));
  else {
    const power = (exponent ?? decimal[suffix] ?? 0) - fraction.length + 9;
    if (Math.abs(power) > 400) return undefined;
    nanos = power >= 0 ? digits * 10n ** BigInt(power) : divideUp(digits, 10n ** BigInt(-power));
  }
  const format = shift !== undefined ? "binary" : exponent !== undefined ? "exponent" : "decimal";
  return { nanos: sign === "-" ? -nanos : nanos, format };
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}

/** Its value in units of 10^-9; undefined where `text` is no quantity. */
export function quantityNanos(text: string): bigint | undefined {
  return parse(text)?.nanos;
}

/** The one way in which Kubernetes writes this quantity; undefined where `text` is none. */
export function canonicalQuantity(text: string): string | undefined {
  const parsed = parse(text);
  if (parsed === undefined) return undefined;
  const { nanos, format } = parsed;
  if (nanos === 0n) return "0";
  const sign = nanos < 0n ? "-" : "";
  const size = nanos < 0n ? -nanos : nanos;
  if (format === "binary" && size % nano === 0n && size / nano >= 1024n)
    return `${sign}${binaryText(size / nano)}`;
  return `${sign}${decimalText(size, format === "exponent")}`;
}

function binaryText(value: bigint): string {
  let rest = value;
  let step = 0;
  const names = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
  while (rest % 1024n === 0n && step < names.length - 1) {
    rest /= 1024n;
    step++;
  }
  return `${rest}${names[step]}`;
}

function decimalText(nanos: bigint, exponent: boolean): string {
  let rest = nanos;
  let power = -9;
  while (rest % 1000n === 0n && power < 18) {
    rest /= 1000n;
    power += 3;
  }
  if (exponent) return power === 0 ? String(rest) : `${rest}e${power}`;
  const suffix = Object.entries(decimal).find(([, value]) => value === power)?.[0] ?? "";
  return `${rest}${suffix}`;
}
