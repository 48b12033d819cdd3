import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type DataDirLayout, layoutOf, readSubnet, writeSubnet } from "./data-dir.ts";
import { hostAddress } from "./node/address.ts";
import { portHolder } from "./port-holder.ts";

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
  for (let from = first; ; ) {
    const subnet = await freeSubnet(port, claims, from);
    if (claim(dataDir, subnet, claims)) return subnet;
    from = subnet + 1;
  }
}

/**
 * The first 127.S.0.0/16, S at least `from`, that neither a data folder nor a program on `port` has.
 *
 * @returns S
 * @throws when all are taken
 */
export async function freeSubnet(port = 6443, claims = claimsFolder(), from = first): Promise<number> {
  for (let subnet = from; subnet < first + count; subnet++) {
    if (holderOf(subnet, claims) !== undefined) continue;
    if ((await portProblem(hostAddress(`127.${subnet}`), port)) === undefined) return subnet;
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
        ? explainHeld(address, port)
        : `${address}:${port} cannot be bound: ${error.message}`,
    );
  });
  server.listen(port, address, () => server.close(() => resolve(undefined)));
  return promise;
}

function explainHeld(address: string, port: number): string {
  const holder = portHolder(address, port);
  const by = holder === undefined ? "" : ` by process ${holder.pid} (${holder.name})`;
  // Another folder means another subnet, which is of no use against who listens on all of them.
  const otherWay = holder?.everywhere ? "" : ", or name another data folder (`--data`)";
  return `${address}:${port} is in use${by}: stop it${otherWay}`;
}

/** Takes a subnet; false when another folder has it. */
function claim(dataDir: DataDirLayout, subnet: number, claims: string): boolean {
  mkdirSync(claims, { recursive: true });
  const path = join(claims, String(subnet));
  // Written first, so that who finds our claim finds it confirmed.
  writeSubnet(dataDir, subnet);
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, dataDir.root);
  try {
    // Fails where the claim is there already, and never shows half of it.
    linkSync(fresh, path);
    return true;
  } catch {
    const holder = holderOf(subnet, claims);
    if (holder !== undefined && holder !== dataDir.root) return false;
    renameSync(fresh, path);
    return true;
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** The data folder that claims a subnet and still says so itself; undefined when nobody does. */
function holderOf(subnet: number, claims: string): string | undefined {
  try {
    const root = readFileSync(join(claims, String(subnet)), "utf8");
    return readSubnet(layoutOf(root)) === subnet ? root : undefined;
  } catch {
    return undefined;
  }
}
