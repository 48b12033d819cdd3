/** What every benchmark is: `bench/NAME/bench.ts` exports one as `benchmark`, and `npm run -s bench -- NAME` runs it. */

/** A figure is a number (shares as fractions 0-1, times in the unit of the name) or words about the run. */
export type Figures = Readonly<Record<string, number | string | boolean | undefined>>;

export interface BenchOptions {
  /** What stood behind the name on the command line, e.g. `--seeds 50`, without `--json` and `--explain`. */
  readonly args: readonly string[];
  /** A line of progress for people; silent with `--json`. */
  readonly say: (line: string) => void;
}

export interface Benchmark {
  /** What is measured and what each key means: printed by `--explain`. */
  readonly explain: string;
  /** Runs it. `text` is the table for people, `figures` the one JSON line; `failed` ends with status 1. */
  run(
    options: BenchOptions,
  ): Promise<{ readonly figures: Figures; readonly text: string; readonly failed?: string }>;
}
