/** What routes and policies do, by what the client of a real Envoy observes. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { type Answer, destinationRule, startTraffic, type Traffic, virtualService } from "./support/traffic.ts";

const network = `127.${200 + (process.pid % 50)}`;

/** Answers of `count` requests, some at a time. */
async function many(count: number, ask: (index: number) => Promise<Answer>, atOnce = 48): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const index = next;
      next += 1;
      answers[index] = await ask(index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answers;
}

const percent = (part: number, whole: number) => (100 * part) / whole;

/** Within one point, as is promised of 20,000 requests. */
function expectShare(actual: number, wanted: number, what: string): void {
  expect(Math.abs(actual - wanted), `${what}: ${actual.toFixed(2)} % for ${wanted} %`).toBeLessThanOrEqual(1);
}

/** How many requests Envoy has delayed. */
async function delayed({ envoy }: Traffic): Promise<number> {
  const page = await fetch(`http://${envoy.admin}/stats?filter=fault.delays_injected`);
  return Number(/: (\d+)/.exec(await page.text())?.[1] ?? 0);
}

describe.skipIf(envoyMissing !== undefined)("traffic through a real Envoy", () => {
  let world: Traffic;
  /** Names of requests (header `x-n`) that arrived, by pod. */
  const arrived = new Map<string, string[]>();
  const record = (name: string) => {
    const seen: string[] = [];
    arrived.set(name, seen);
    return (n: string | string[] | undefined) => seen.push(String(n));
  };

  beforeAll(async () => {
    world = await startTraffic(network, { "istio-locality": "eu.eu-1.a" });
    for (const name of ["one", "two", "mirror-a", "mirror-b", "mirror-c"]) {
      const see = record(name);
      await world.pod(name, name, {
        answering: ({ headers }, response) => {
          see(headers["x-n"]);
          response.end(name);
        },
      });
      await world.service(name);
    }
  });
  afterAll(async () => {
    await world.stop();
  });

  // Chance alone exceeds one point in one of 40 runs.
  test("weights, three mirrors, a delay and an abort of one route are independent of one another", { retry: 1 }, async () => {
    const total = 20_000;
    await world.apply(
      virtualService("shares", {
        hosts: ["one"],
        http: [
          {
            route: [
              { destination: { host: "one" }, weight: 70 },
              { destination: { host: "two" }, weight: 30 },
            ],
            mirrors: [
              { destination: { host: "mirror-a" }, percentage: { value: 30 } },
              { destination: { host: "mirror-b" }, percentage: { value: 50 } },
              { destination: { host: "mirror-c" }, percentage: { value: 20 } },
            ],
            fault: {
              abort: { httpStatus: 555, percentage: { value: 10 } },
              delay: { fixedDelay: "0.001s", percentage: { value: 40 } },
            },
          },
        ],
      }),
    );
    const before = await delayed(world);
    const answers = await many(total, (n) => world.ask("one", { headers: { "x-n": String(n) } }));
    const aborted = answers.filter(({ status }) => status === 555).length;
    expectShare(percent(aborted, total), 10, "aborted");
    expectShare(percent((await delayed(world)) - before, total), 40, "delayed");
    let seen = 0;
    await until("the last mirrored request has arrived", async () => {
      const now = [...arrived.values()].reduce((sum, { length }) => sum + length, 0);
      if (now === seen) return true;
      seen = now;
      await sleep(200);
      return false;
    });
    const passed = total - aborted;
    const shares = { one: 70, two: 30, "mirror-a": 30, "mirror-b": 50, "mirror-c": 20 };
    const sets = new Map(Array.from(arrived, ([name, requests]) => [name, new Set(requests)]));
    const together = (a: string, b: string) => (sets.get(a) ?? new Set()).intersection(sets.get(b) ?? new Set());
    for (const [a, shareOfA] of Object.entries(shares)) {
      expectShare(percent(together(a, a).size, passed), shareOfA, a);
      for (const [b, shareOfB] of Object.entries(shares)) {
        const exclusive = a === "one" && b === "two";
        if (a >= b || exclusive) continue;
        // As often as chance says.
        expectShare(percent(together(a, b).size, passed), (shareOfA * shareOfB) / 100, `${a} and ${b}`);
      }
    }
    await world.remove(virtualService("shares", {}));
  });
});
