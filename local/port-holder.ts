import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

/** Who listens on a port. */
export interface PortHolder {
  readonly pid: number;
  /** The program's name, e.g. `node`. */
  readonly name: string;
  /** Whether it listens on every address of this machine, so that another address does not help. */
  readonly everywhere: boolean;
}

/** State of a socket that listens, in `/proc/net/tcp`. */
const listening = "0A";
const nowhere = /^0+$/;

/**
 * The process that keeps an IPv4 address and port from being bound; undefined where it cannot be told, as for
 * processes of other users.
 *
 * @see proc_pid_net(5), /proc/net/tcp
 */
export function portHolder(address: string, port: number): PortHolder | undefined {
  const hex = address
    .split(".")
    .reverse()
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("")
    .toUpperCase();
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of linesOf(file)) {
      const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
      const [host = "", hexPort = ""] = local.split(":");
      if (state !== listening || Number.parseInt(hexPort, 16) !== port) continue;
      const everywhere = nowhere.test(host);
      if (!everywhere && host !== hex) continue;
      const pid = ownerOf(`socket:[${inode}]`);
      if (pid !== undefined) return { pid, name: nameOf(pid), everywhere };
    }
  }
  return undefined;
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, "latin1").split("\n").slice(1);
  } catch {
    return [];
  }
}

/** The first process that has this file open. */
function ownerOf(link: string): number | undefined {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const owner = pids.find((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((name) => readlink(`/proc/${pid}/fd/${name}`) === link);
    } catch {
      return false;
    }
  });
  return owner === undefined ? undefined : Number(owner);
}

function readlink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function nameOf(pid: number): string {
  try {
    const [program = ""] = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
    return basename(program);
  } catch {
    return "gone";
  }
}
