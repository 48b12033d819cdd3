import { createServer } from "node:net";
import { hostAddress } from "./node/address.ts";

/** The first that is tried: far from what other programs use on the loopback. */
const first = 77;

/**
 * A free 127.S.0.0/16: one whose API port nobody holds.
 *
 * @returns S
 * @throws when all are taken
 */
export async function freeSubnet(port = 6443): Promise<number> {
  for (let step = 0; step < 177; step++) {
    const subnet = first + step;
    if ((await portProblem(hostAddress(subnet), port)) === undefined) return subnet;
  }
  throw new Error(`no loopback subnet is free on port ${port}: stop another \`fairlead up\``);
}

/** Why a port cannot be bound, in words that say what to do; undefined when it can. */
export function portProblem(address: string, port: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const server = createServer();
  server.once("error", (error: NodeJS.ErrnoException) => {
    resolve(
      error.code === "EADDRINUSE"
        ? `${address}:${port} is in use: stop the program that holds it, or name another --subnet`
        : `${address}:${port} cannot be bound: ${error.message}`,
    );
  });
  server.listen(port, address, () => server.close(() => resolve(undefined)));
  return promise;
}
