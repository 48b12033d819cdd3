/** What every soak is: `test/soak/NAME/soak.ts` exports one as `soak`, and `npm run -s soak -- NAME` runs it. */

export interface SoakOptions {
  /** What stood behind the name on the command line, e.g. `--seed 7`. */
  readonly args: readonly string[];
  /** A line for people, as it goes. */
  readonly say: (line: string) => void;
}

export interface SoakResult {
  readonly passed: number;
  readonly failed: number;
}

export interface Soak {
  /** What is done and when it passes: printed by `--explain`. */
  readonly explain: string;
  run(options: SoakOptions): Promise<SoakResult>;
}

/** The value of `--name VALUE` among `args`; `fallback` where it is not given. */
export function numberOption(args: readonly string[], name: string, fallback: number): number {
  const at = args.indexOf(`--${name}`);
  const value = at < 0 ? fallback : Number(args[at + 1]);
  if (!Number.isFinite(value)) throw new Error(`--${name} needs a number`);
  return value;
}

/** The value of `--name VALUE` as text. */
export function textOption(args: readonly string[], name: string): string | undefined {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? undefined : args[at + 1];
}
