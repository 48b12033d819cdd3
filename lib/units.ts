/** Numbers that carry their unit in the type, so that a percent is never taken for a fraction. */
declare const unit: unique symbol;
type Unit<Name extends string> = number & { readonly [unit]?: Name };

/** 0-100. */
export type Percent = Unit<"percent">;
/** 0-1. */
export type Fraction = Unit<"fraction">;
export type Milliseconds = Unit<"milliseconds">;

/**
 * Reads a Go duration (`1m30s`, `1.5h`, `250ms`), the form that Flagger and Istio use everywhere.
 *
 * @returns milliseconds, or undefined when `text` is not one
 * @see https://pkg.go.dev/time#ParseDuration
 */
export function parseDuration(text: string): Milliseconds | undefined {
  if (text === "0") return 0;
  if (
    !/^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$/.test(text)
  )
    return undefined;
  const inMilliseconds: Record<string, number> = {
    ns: 1e-6,
    us: 1e-3,
    µs: 1e-3,
    μs: 1e-3,
    ms: 1,
    s: 1000,
    m: 60_000,
    h: 3_600_000,
  };
  let total = 0;
  for (const [, number, name] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(number) * (inMilliseconds[name ?? ""] ?? Number.NaN);
  }
  return text.startsWith("-") ? -total : total;
}

/** A duration as Go writes it, e.g. `1m0.5s`, `500ms`; fractions of a millisecond are left out. */
export function formatDuration(duration: Milliseconds): string {
  const whole = Math.trunc(duration);
  if (Math.abs(whole) < 1000) return whole === 0 ? "0s" : `${whole}ms`;
  const sign = whole < 0 ? "-" : "";
  const seconds = Math.abs(whole) / 1000;
  const [hours, minutes] = [Math.trunc(seconds / 3600), Math.trunc(seconds / 60) % 60];
  const rest = `${Number((seconds % 60).toFixed(3))}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${sign}${minutes}m${rest}` : `${sign}${rest}`;
}
