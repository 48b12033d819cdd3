import { readdirSync, readFileSync } from "node:fs";

/** Which process, in words that stay true when its pid is used again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot at which it started: field 22 of `/proc/<pid>/stat`. */
  readonly startTime: string;
}

export interface ProcessStat extends ProcessIdentity {
  readonly state: string;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks of processor time, its waited-for children's included: fields 14 to 17. */
  readonly ticks: number;
  /** Field 24. */
  readonly residentPages: number;
}

/**
 * Reads one line of `/proc/<pid>/stat`; undefined when it is not one.
 *
 * The second field is the program's name in parentheses and may itself hold spaces and parentheses.
 * @see proc_pid_stat(5)
 */
export function parseStat(line: string): ProcessStat | undefined {
  const nameEnd = line.lastIndexOf(")");
  const pid = Number(line.slice(0, line.indexOf(" ")));
  const [state, parent, , session, ...rest] = line
    .slice(nameEnd + 2)
    .trim()
    .split(" ");
  const startTime = rest[15];
  if (nameEnd < 0 || !Number.isInteger(pid) || state === undefined || startTime === undefined)
    return undefined;
  const ticks = rest.slice(7, 11).reduce((total, field) => total + Number(field), 0);
  return {
    pid,
    state,
    parent: Number(parent),
    session: Number(session),
    startTime,
    ticks,
    residentPages: Number(rest[17]),
  };
}

/** The process as it is now; undefined when it is gone. */
export function readStat(pid: number): ProcessStat | undefined {
  const line = readOrUndefined(`/proc/${pid}/stat`);
  return line === undefined ? undefined : parseStat(line);
}

/** Whether this very process still runs: a zombie does not, nor does another one under the same pid. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.startTime === startTime && stat.state !== "Z" && stat.state !== "X";
}

/** All processes of a session, its leader included. */
export function sessionMembers(session: number): readonly ProcessStat[] {
  return everyProcess().filter((stat) => stat.session === session && stat.state !== "Z");
}

/** All processes whose environment holds `entry` (`NAME=value`): finds those that left their session. */
export function processesWithEnvironment(entry: string): readonly ProcessStat[] {
  const wanted = `\0${entry}\0`;
  return everyProcess().filter(({ pid }) =>
    `\0${readOrUndefined(`/proc/${pid}/environ`) ?? ""}\0`.includes(wanted),
  );
}

/** The value of a variable in a process's environment as it was started; undefined where it has none or is gone. */
export function environmentValue(pid: number, name: string): string | undefined {
  const entries = readOrUndefined(`/proc/${pid}/environ`)?.split("\0") ?? [];
  return entries.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Sends a signal to this very process; false when it was already gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch {
    return false;
  }
}

/** Everything that runs and that this user may see. */
export function everyProcess(): readonly ProcessStat[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => readStat(Number(pid))).filter((stat) => stat !== undefined);
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
