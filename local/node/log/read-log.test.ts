import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../lib/clock.ts";
import { until } from "../../testing/until.ts";
import { type Attempt, createAttempt, logPath } from "../process/attempt-folder.ts";
import { startProcess } from "../process/shim.ts";
import { ContainerLog } from "./container-log.ts";
import { linesOf, parseTimes, printLines } from "./lines.ts";
import { type LogOptions, readLog } from "./read-log.ts";

function newAttempt(): Attempt {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-log-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return createAttempt(folder, { number: 0, startedAt: Date.now(), backOff: 0 });
}

async function read(attempt: Attempt, options: LogOptions): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of readLog(attempt, options)) parts.push(part);
  return Buffer.concat(parts).toString();
}

test("following ends with the container, and misses nothing that it wrote", async () => {
  const attempt = newAttempt();
  const script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.05; done; printf end";
  await startProcess({
    attempt,
    command: ["sh", "-c", script],
    environment: { PATH: "/usr/bin:/bin" },
    workingFolder: "/",
  });
  const text = await read(attempt, { follow: true });
  expect(text).toMatch(/^line 1\nline 2\nline 3\nline 4\nline 5\n/);
  expect(await read(attempt, { tailLines: 2 })).toBe("line 5\nend\n");
});

test("each line has the time at which its part was seen", () => {
  const content = Buffer.from("one\ntwo\nthree\n");
  const lines = linesOf({ content, times: parseTimes("0 1000\n4 2000\n") });
  expect(printLines(lines, true).toString()).toBe(
    "1970-01-01T00:00:01.000Z one\n1970-01-01T00:00:02.000Z two\n1970-01-01T00:00:02.000Z three\n",
  );
});

test("a log that has grown past 10 MB is rotated under its writer's feet, and read as one", async () => {
  const attempt = newAttempt();
  const path = logPath(attempt);
  appendFileSync(path, "");
  const log = new ContainerLog(attempt, systemClock);
  onTestFinished(() => log.close());
  appendFileSync(
    path,
    "x"
      .repeat(1023)
      .concat("\n")
      .repeat(10 * 1024 + 1),
  );
  await until("it is rotated", () => statSync(path).size === 0);
  appendFileSync(path, "after\n");
  expect(readFileSync(`${path}.1`).length).toBeGreaterThan(10 * 1024 * 1024);
  const text = await read(attempt, { tailLines: 2 });
  expect(text).toBe(`${"x".repeat(1023)}\nafter\n`);
});
