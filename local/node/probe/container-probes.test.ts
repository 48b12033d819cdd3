import { expect, test } from "vitest";
import type { Clock } from "../../../lib/clock.ts";
import type { Container } from "../container.ts";
import { startContainerProbes } from "./container-probes.ts";

/** A clock that moves when told; what is due runs before `advance` resolves. */
function manualClock(): Clock & { advance(milliseconds: number): Promise<void> } {
  let now = 0;
  const timers = new Set<{ at: number; callback: () => void }>();
  return {
    now: () => now,
    monotonic: () => now,
    after(delay, callback) {
      const timer = { at: now + delay, callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(milliseconds) {
      for (const end = now + milliseconds; now < end; now += 100) {
        for (const timer of timers) {
          if (timer.at > now) continue;
          timers.delete(timer);
          timer.callback();
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

function probe(container: Partial<Container>, answers: Partial<Record<number, boolean>>) {
  const clock = manualClock();
  const told: string[] = [];
  const at = (words: string) => told.push(`${clock.now() / 1000} ${words}`);
  const stop = startContainerProbes({
    container: { name: "c", ...container },
    started: false,
    clock,
    // Each probe is told by its port.
    ask: async ({ tcpSocket }) => ({ passed: answers[Number(tcpSocket?.port)] === true, message: "refused" }),
    onStarted: () => at("started"),
    onReady: (ready) => at(`ready ${ready}`),
    onFailed: (kind, grace) => at(`${kind} failed, grace ${grace}`),
    onUnhealthy: (message) => told.push(message),
  });
  return { clock, told, stop, answers };
}

test("without probes a container is started and ready at once", () => {
  expect(probe({}, {}).told).toEqual(["0 started", "0 ready true"]);
});

test("readiness is asked only after startup has passed", async () => {
  const startupProbe = { tcpSocket: { port: 1 }, periodSeconds: 1, failureThreshold: 30 };
  const readinessProbe = { tcpSocket: { port: 2 }, periodSeconds: 2 };
  const { clock, told, answers } = probe({ startupProbe, readinessProbe }, { 2: true });
  await clock.advance(2500);
  expect(told).toEqual(Array.from({ length: 3 }, () => "Startup probe failed: refused"));
  answers[1] = true;
  await clock.advance(1000);
  expect(told.slice(3)).toEqual(["3 started", "3.1 ready true"]);
});

test("liveness fails once after its threshold and initial delay, and then nothing is asked any more", async () => {
  const livenessProbe = {
    tcpSocket: { port: 1 },
    initialDelaySeconds: 5,
    periodSeconds: 2,
    failureThreshold: 2,
    terminationGracePeriodSeconds: 7,
  };
  const { clock, told } = probe({ livenessProbe }, {});
  await clock.advance(20_000);
  expect(told.filter((words) => !words.startsWith("Liveness"))).toEqual([
    "0 started",
    "0 ready true",
    "7 liveness failed, grace 7",
  ]);
  expect(told.filter((words) => words.startsWith("Liveness"))).toHaveLength(2);
});

test("one failed answer does not take readiness away, three do", async () => {
  const readinessProbe = { tcpSocket: { port: 1 }, periodSeconds: 1 };
  const { clock, told, answers, stop } = probe({ readinessProbe }, { 1: true });
  await clock.advance(1500);
  answers[1] = false;
  await clock.advance(2000);
  expect(told.filter((words) => words.includes("ready"))).toEqual(["0 ready true", "1 ready true"]);
  await clock.advance(1000);
  expect(told.at(-1)).toBe("4 ready false");
  stop();
  const before = told.length;
  await clock.advance(5000);
  expect(told).toHaveLength(before);
});
