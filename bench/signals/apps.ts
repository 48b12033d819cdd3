/** The two versions behind the proxies: they answer 200, the canary 500 to as many requests as it is told. */
import { createServer } from "node:http";

export interface AppsOrder {
  /** Share of the canary's requests that fail, 0 to 1. */
  readonly failing: number;
}

/** Ports. */
export interface AppsAnswer {
  readonly primary: number;
  readonly canary: number;
}

/** Of the canary's requests, evenly spread. */
let failing = 0;
let owed = 0;

async function serve(status: () => number): Promise<number> {
  const server = createServer((_, response) => response.writeHead(status()).end("ok"));
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const answer: AppsAnswer = {
  primary: await serve(() => 200),
  canary: await serve(() => {
    owed += failing;
    if (owed < 1) return 200;
    owed -= 1;
    return 500;
  }),
};

process.on("message", (order: AppsOrder) => {
  failing = order.failing;
  owed = 0;
  process.send?.(answer);
});
