/** The same request by several ways, in turn, so that whatever else the machine does meets all of them alike. */
import { connect, type Socket } from "node:net";
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

/** A connection that sends one request after the other. */
interface Asking {
  ask(): Promise<string>;
  close(): void;
}

async function open({ host, port, target }: Way): Promise<Asking> {
  const socket: Socket = connect({ host, port });
  socket.setNoDelay(true);
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  const request = `GET ${target} HTTP/1.1\r\nhost: server.bench\r\n\r\n`;
  let received = "";
  let answered: ((body: string) => void) | undefined;
  let failed: ((error: Error) => void) | undefined;
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
    const end = received.indexOf("\r\n\r\n");
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1] ?? Number.NaN);
    if (end < 0 || received.length < end + 4 + length) return;
    const body = received.slice(end + 4);
    const isGood = received.startsWith("HTTP/1.1 200");
    const words = received.slice(0, 60);
    received = "";
    if (isGood) answered?.(body);
    else failed?.(new Error(`answered ${words}`));
  });
  for (const event of ["error", "close"])
    socket.on(event, () => failed?.(new Error(`${host}:${port} closed`)));
  return {
    ask: () =>
      new Promise((resolve, reject) => {
        answered = resolve;
        failed = reject;
        socket.write(request);
      }),
    close: () => {
      failed = undefined;
      socket.destroy();
    },
  };
}

/** The body of one answer. */
export async function askOnce(way: Way): Promise<string> {
  const asking = await open(way);
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
  const askings = await Promise.all([base, ...ways].map(open));
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
