import { spawn } from "node:child_process";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../lib/clock.ts";
import { until } from "../../testing/until.ts";
import { UsageMeter } from "./meter.ts";

test("a container's use is its whole session's: a busy child counts, an idle container does not", async () => {
  const start = (script: string) => {
    const child = spawn("sh", ["-c", script], { detached: true, stdio: "ignore" });
    onTestFinished(() => {
      process.kill(-(child.pid ?? 0), "SIGKILL");
    });
    return child.pid ?? 0;
  };
  const containers = [
    { uid: "pod", name: "busy", session: start("(while :; do :; done) & wait") },
    { uid: "pod", name: "idle", session: start("sleep 100") },
  ];
  const meter = new UsageMeter(systemClock, () => containers);
  expect(meter.measure().size).toBe(0);
  const usage = await until("a second look", () => meter.measure().get("pod"));
  expect(usage.get("busy")?.cores).toBeGreaterThan(0.1);
  expect(usage.get("idle")?.cores).toBeLessThan(0.05);
  expect(usage.get("busy")?.memoryBytes).toBeGreaterThan(100_000);
});
