import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { processesNaming } from "../../testing/processes.ts";
import { until } from "../../testing/until.ts";
import { type Attempt, createAttempt, readProcess, readShim } from "./attempt-folder.ts";
import { killAll, markerVariable, shimRuns, terminate, waitForExit } from "./session.ts";
import { startProcess } from "./shim.ts";
import { isAlive, parseStat } from "./stat.ts";

async function start(script: string): Promise<{ attempt: Attempt; ended: Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-session-"));
  const attempt = createAttempt(folder, { number: 0, startedAt: Date.now(), backOff: 0 });
  onTestFinished(() => {
    killAll(attempt, { shimToo: true });
    rmSync(folder, { recursive: true });
  });
  const environment = { PATH: process.env.PATH ?? "", [markerVariable]: attempt.folder };
  const { ended } = await startProcess({
    attempt,
    command: ["sh", "-c", script],
    environment,
    workingFolder: folder,
  });
  return { attempt, ended };
}

test("a stat line is read though the program's name holds spaces and parentheses", () => {
  const line = `12 (a) b (c) S 1 12 12 0 -1 4194304 ${Array.from({ length: 12 }, (_, index) => index).join(" ")} 777 0 9`;
  const identity = { pid: 12, state: "S", parent: 1, session: 12, startTime: "777" };
  expect(parseStat(line)).toEqual({ ...identity, ticks: 4 + 5 + 6 + 7, residentPages: 9 });
});

test("whoever waits learns the exit code, also who did not start it", async () => {
  const { attempt, ended } = await start("sleep 0.2; exit 7");
  const [own, adopted] = await Promise.all([waitForExit(attempt, ended).exit, waitForExit(attempt).exit]);
  expect([own.code, adopted.code]).toEqual([7, 7]);
});

test("SIGTERM goes to the container's process, whose own exit code counts", async () => {
  const { attempt, ended } = await start("trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done");
  await until("it runs", () => readProcess(attempt) !== undefined);
  await new Promise((resolve) => setTimeout(resolve, 100));
  terminate(attempt);
  expect((await waitForExit(attempt, ended).exit).code).toBe(3);
});

test("killing takes children with it, also those that left the session", async () => {
  const { attempt, ended } = await start("setsid sleep 1000 & sleep 1000 & wait");
  await until("all run", () => processesNaming(attempt.folder).length === 4);
  killAll(attempt);
  expect((await waitForExit(attempt, ended).exit).code).toBe(137);
  await until("none is left", () => processesNaming(attempt.folder).length === 0);
});

test("a shim that was killed counts as exit code 137", async () => {
  const { attempt } = await start("sleep 1000");
  const shim = readShim(attempt);
  expect(shim && isAlive(shim)).toBe(true);
  killAll(attempt, { shimToo: true });
  expect((await waitForExit(attempt).exit).code).toBe(137);
  expect(shimRuns(attempt)).toBe(false);
});
