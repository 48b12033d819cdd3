/** The two versions behind the proxies: they answer 200, the canary 500 once it is told to. */
import { createServer } from "node:http";

export interface AppsAnswer {
  readonly primary: number;
  readonly canary: number;
}

let broken = false;

async function serve(status: () => number): Promise<number> {
  const server = createServer((_, response) => response.writeHead(status()).end("ok"));
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const answer: AppsAnswer = {
  primary: await serve(() => 200),
  canary: await serve(() => (broken ? 500 : 200)),
};

process.on("message", (message: { readonly broken?: boolean }) => {
  broken = message.broken ?? false;
  process.send?.(answer);
});
