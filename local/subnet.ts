import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type DataDirLayout, layoutOf, readSubnet, writeSubnet } from "./data-dir.ts";
import { hostAddress } from "./node/address.ts";

/** The first that is tried, and how many: far from what other programs use on the loopback. */
const first = 77;
const count = 177;

/** Where data folders say which subnet is theirs: pods outlive the control plane, so a free port proves nothing. */
export function claimsFolder(): string {
  return join(tmpdir(), `fairlead-subnets-${userInfo().uid}`);
}

/**
 * The folder's own 127.S.0.0/16, else the first that neither another folder nor another program has; kept with the folder.
 *
 * @returns S
 * @throws when all are taken
 */
export async function claimSubnet(
  dataDir: DataDirLayout,
  port: number,
  claims = claimsFolder(),
): Promise<number> {
  const held = readSubnet(dataDir);
  if (held !== undefined) {
    claim(dataDir, held, claims);
    return held;
  }
  for (let subnet = first; subnet < first + count; subnet++) {
    if ((await portProblem(hostAddress(subnet), port)) !== undefined) continue;
    if (claim(dataDir, subnet, claims)) return subnet;
  }
  throw new Error("every loopback subnet is taken: stop another `fairlead up`");
}

/** Why a port cannot be bound, in words that say what to do; undefined when it can. */
export function portProblem(address: string, port: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const server = createServer();
  server.once("error", (error: NodeJS.ErrnoException) => {
    resolve(
      error.code === "EADDRINUSE"
        ? `${address}:${port} is in use: stop the program that holds it, or name another data folder`
        : `${address}:${port} cannot be bound: ${error.message}`,
    );
  });
  server.listen(port, address, () => server.close(() => resolve(undefined)));
  return promise;
}

/** Takes a subnet; false when another folder, which still says so itself, has it. */
function claim(dataDir: DataDirLayout, subnet: number, claims: string): boolean {
  mkdirSync(claims, { recursive: true });
  const path = join(claims, String(subnet));
  // Written first, so that who finds our claim finds it confirmed.
  writeSubnet(dataDir, subnet);
  try {
    const file = openSync(path, "wx");
    writeSync(file, dataDir.root);
    closeSync(file);
    return true;
  } catch {
    const holder = readFileSync(path, "utf8");
    const stands = holder !== dataDir.root && readSubnet(layoutOf(holder)) === subnet;
    if (!stands) writeFileSync(path, dataDir.root);
    return !stands;
  }
}
