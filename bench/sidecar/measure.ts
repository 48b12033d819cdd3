/** The same request by several ways, in turn, so that whatever else the machine does meets all of them alike. */
import { type Asker, createAsker } from "../asker.ts";
import { quantile } from "../rollback/figures.ts";

/** One way to the application. */
export interface Way {
  readonly host: string;
  readonly port: number;
  /** Of the request line: absolute where a proxy is asked. */
  readonly target: string;
}

/** Microseconds. */
export interface Extra {
  readonly p50: number;
  readonly p99: number;
}

const requestsARound = 300;

function open({ host, port, target }: Way): Asker {
  return createAsker({ host, port }, "server.bench", target);
}

/** The body of one answer. */
export async function askOnce(way: Way): Promise<string> {
  const asking = open(way);
  try {
    return await asking.ask();
  } finally {
    asking.close();
  }
}

/**
 * What each of `ways` takes longer than `base`: medians over the rounds of the differences of a round's medians; p99 of
 * all requests together.
 */
export async function measureExtra(
  base: Way,
  ways: readonly Way[],
  rounds: number,
): Promise<readonly Extra[]> {
  const askings = [base, ...ways].map(open);
  try {
    const medians: number[][] = [];
    const all: number[][] = askings.map(() => []);
    for (let round = 0; round <= rounds; round += 1) {
      const times: number[][] = askings.map(() => []);
      for (let request = 0; request < requestsARound; request += 1)
        for (const [index, asking] of askings.entries()) {
          const start = performance.now();
          await asking.ask();
          times[index]?.push((performance.now() - start) * 1000);
        }
      // The first round is to get warm.
      if (round === 0) continue;
      medians.push(times.map((own) => quantile(own, 0.5)));
      for (const [index, own] of times.entries()) all[index]?.push(...own);
    }
    const p99 = all.map((own) => quantile(own, 0.99));
    return ways.map((_, at) => ({
      p50: quantile(
        medians.map((round) => (round[at + 1] ?? 0) - (round[0] ?? 0)),
        0.5,
      ),
      p99: (p99[at + 1] ?? 0) - (p99[0] ?? 0),
    }));
  } finally {
    for (const asking of askings) asking.close();
  }
}
