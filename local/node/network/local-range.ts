import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { hostAddress, type Network } from "../address.ts";

const run = promisify(execFile);

/**
 * Gives this machine every address of a /16, as it has those of 127.0.0.0/8: programs bind and reach each of them.
 *
 * @throws Error where it is not allowed, or the range is reached over another interface
 */
export async function addLocalRange(network: Network): Promise<void> {
  const range = `${network}.0.0/16`;
  const { stdout } = await run("ip", ["-4", "route", "show", "table", "all", "root", range]);
  const others = stdout.split("\n").filter((line) => line !== "" && !/^local \S+ dev lo /.test(line));
  if (others.length > 0)
    throw new Error(`${range} is in use on this machine (${others[0]?.trim()}): name another --data folder`);
  try {
    // The node's own address first: it is what a program that binds nothing is seen under.
    await run("ip", ["address", "replace", `${hostAddress(network)}/32`, "dev", "lo"]);
    await run("ip", ["route", "replace", "local", range, "dev", "lo", "src", hostAddress(network)]);
  } catch (error) {
    throw new Error(
      `addresses of ${range} cannot be added to the loopback interface: run as root, or in \`unshare -rn\``,
      { cause: error },
    );
  }
}

/** Takes the range away again; nothing happens where it is gone. */
export async function removeLocalRange(network: Network): Promise<void> {
  await run("ip", ["route", "del", "local", `${network}.0.0/16`, "dev", "lo"]).catch(() => undefined);
  await run("ip", ["address", "del", `${hostAddress(network)}/32`, "dev", "lo"]).catch(() => undefined);
}
