/** Which endpoint answers, and when none may: circuit breaking, ejection, localities and session hashing on a real Envoy. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { destinationRule, many, startTraffic, type Traffic, virtualService } from "./support/traffic.ts";

const network = `127.${200 + (process.pid % 50)}`;

const percent = (part: number, whole: number) => (100 * part) / whole;

function expectWithin(actual: number, least: number, most: number): void {
  expect(actual).toBeGreaterThanOrEqual(least);
  expect(actual).toBeLessThanOrEqual(most);
}

describe.skipIf(envoyMissing !== undefined)("endpoints behind a real Envoy", () => {
  let world: Traffic;

  beforeAll(async () => {
    world = await startTraffic(network, { "istio-locality": "eu.eu-1.a" });
  });
  afterAll(async () => {
    await world.stop();
  });

  test("circuit breaking: connections and waiting requests are limited, and what is above is told at once", async () => {
    let working = 0;
    let most = 0;
    await world.pod("narrow", "narrow", {
      answering: (_request, response) => {
        working += 1;
        most = Math.max(most, working);
        setTimeout(() => {
          working -= 1;
          response.end("done");
        }, 300);
      },
    });
    await world.service("narrow");
    const limits = destinationRule("narrow", {
      host: "narrow",
      trafficPolicy: { connectionPool: { tcp: { maxConnections: 2 }, http: { http1MaxPendingRequests: 3 } } },
    });
    await world.apply(limits);
    const first = [world.ask("narrow"), world.ask("narrow")];
    await until("two connections are at work", () => working === 2);
    const answers = await many(8, () => world.ask("narrow"), 8);
    const refused = answers.filter(({ status }) => status === 503);
    // Three wait, and take the connections over.
    expect(refused).toHaveLength(5);
    expect(refused.every(({ headers }) => headers["x-envoy-overloaded"] === "true")).toBe(true);
    const others = [...(await Promise.all(first)), ...answers.filter((answer) => !refused.includes(answer))];
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(most).toBe(2);
    await world.remove(limits);
  });

  test("a retry budget: a share of what is under way, or of what began within its interval", async () => {
    let tries = 0;
    await world.pod("budget", "budget", {
      answering: ({ url }, response) => {
        tries += 1;
        response.statusCode = url === "/fails" ? 503 : 200;
        response.end();
      },
    });
    await world.service("budget");
    const retried = virtualService("budget", {
      hosts: ["budget"],
      http: [{ retries: { attempts: 1, retryOn: "503" }, route: [{ destination: { host: "budget" } }] }],
    });
    const budget = { percent: 20, minRetryConcurrency: 0 };
    const rule = (interval: object) =>
      destinationRule("budget", {
        host: "budget",
        trafficPolicy: { retryBudget: { ...budget, ...interval } },
      });
    const triesAfter = async (others: number) => {
      for (let sent = 0; sent < others; sent += 1) await world.ask("budget");
      tries = 0;
      await world.ask("budget", { path: "/fails" });
      return tries;
    };
    await world.apply(retried, rule({}));
    // A fifth of the one that is under way is none.
    expect(await triesAfter(20)).toBe(1);
    await world.apply(rule({ budgetInterval: "60s" }));
    expect(await triesAfter(20)).toBe(2);
    await world.remove(retried, rule({}));
  });

  test("outlier ejection: after 5 errors in a row an endpoint is left alone", async () => {
    let errors = 0;
    await world.pod("mixed", "mixed-good");
    await world.pod("mixed", "mixed-bad", {
      answering: (_request, response) => {
        errors += 1;
        response.statusCode = 500;
        response.end("bad");
      },
    });
    await world.service("mixed");
    const ejection = destinationRule("mixed", {
      host: "mixed",
      trafficPolicy: {
        loadBalancer: { simple: "ROUND_ROBIN" },
        outlierDetection: {
          consecutive5xxErrors: 5,
          interval: "1s",
          baseEjectionTime: "1m",
          maxEjectionPercent: 100,
        },
      },
    });
    await world.apply(ejection);
    const answers = await many(60, () => world.ask("mixed"), 1);
    expect(errors).toBe(5);
    expect(answers.filter(({ status }) => status === 500)).toHaveLength(5);
    expect(answers.slice(12).every(({ body }) => body === "mixed-good")).toBe(true);
    await world.remove(ejection);
  });

  test("locality failover: the caller's zone is asked, then its region, then the region that takes over", async () => {
    const broken = new Set<string>();
    const localities = {
      "far-asia": "asia.asia-1.a",
      "far-us": "us.us-1.a",
      region: "eu.eu-2.a",
      zone: "eu.eu-1.b",
    };
    for (const [name, locality] of Object.entries(localities)) {
      await world.pod("spread", name, {
        labels: { "istio-locality": locality },
        answering: (_request, response) => {
          response.statusCode = broken.has(name) ? 503 : 200;
          response.end(name);
        },
      });
    }
    await world.service("spread");
    const failover = destinationRule("spread", {
      host: "spread",
      trafficPolicy: {
        loadBalancer: { localityLbSetting: { failover: [{ from: "eu", to: "us" }] } },
        outlierDetection: {
          consecutiveGatewayErrors: 1,
          interval: "1s",
          baseEjectionTime: "1m",
          maxEjectionPercent: 100,
        },
      },
    });
    await world.apply(failover, noRetries("spread"));
    for (const name of ["zone", "region", "far-us", "far-asia"]) {
      // Envoy puts together what it learns of endpoints' health within a second.
      await until(`${name} is asked when ${[...broken].join(", ")} are down`, async () => {
        const answers = await many(12, () => world.ask("spread"), 1);
        return answers.every(({ status, body }) => status === 200 && body === name);
      });
      broken.add(name);
    }
    await world.remove(failover, noRetries("spread"));
  });

  test("locality shares: endpoints of the localities share as the policy says", async () => {
    for (const [name, locality] of [
      ["near", "eu.eu-1.a"],
      ["far", "us.us-1.a"],
      ["none", "asia.asia-1.a"],
    ] as const)
      await world.pod("shared", name, { labels: { "istio-locality": locality } });
    await world.service("shared");
    const shares = destinationRule("shared", {
      host: "shared",
      trafficPolicy: {
        loadBalancer: {
          localityLbSetting: { distribute: [{ from: "eu/*", to: { "eu/*": 80, "us/*": 20 } }] },
        },
      },
    });
    await world.apply(shares);
    const answers = await many(1000, () => world.ask("shared"));
    const share = (name: string) => percent(answers.filter(({ body }) => body === name).length, 1000);
    expectWithin(share("near"), 75, 85);
    expectWithin(share("far"), 15, 25);
    expect(share("none")).toBe(0);
    await world.remove(shares);
  });

  test("session hashing: a header, a cookie that Envoy makes, a query parameter and the source choose the endpoint", async () => {
    for (const name of ["hashed-1", "hashed-2", "hashed-3", "hashed-4"]) await world.pod("hashed", name);
    await world.service("hashed");
    const hashing = (consistentHash: object) =>
      destinationRule("hashed", { host: "hashed", trafficPolicy: { loadBalancer: { consistentHash } } });
    const endpointsOf = async (asked: (user: number) => Parameters<Traffic["ask"]>[1]) => {
      const seen: Set<string>[] = [];
      for (let user = 0; user < 24; user += 1) {
        const answers = await many(3, () => world.ask("hashed", asked(user)), 3);
        seen.push(new Set(answers.map(({ body }) => body)));
      }
      // Each user meets one endpoint; all endpoints are met.
      return {
        most: Math.max(...seen.map(({ size }) => size)),
        all: new Set(seen.flatMap((set) => [...set])).size,
      };
    };
    await world.apply(hashing({ httpHeaderName: "x-user" }));
    const byHeader = (user: number) => ({ headers: { "x-user": `user-${user}` } });
    expect(await endpointsOf(byHeader)).toEqual({ most: 1, all: 4 });
    await world.apply(hashing({ httpQueryParameterName: "user", maglev: { tableSize: 1009 } }));
    expect(await endpointsOf((user) => ({ path: `/?user=${user}` }))).toEqual({ most: 1, all: 4 });
    await world.apply(hashing({ useSourceIp: true }));
    expect(await endpointsOf(byHeader)).toEqual({ most: 1, all: 1 });
    await world.apply(hashing({ httpCookie: { name: "session", path: "/", ttl: "60s" } }));
    const first = await world.ask("hashed");
    const cookie = String(first.headers["set-cookie"]).split(";")[0] ?? "";
    expect(String(first.headers["set-cookie"])).toMatch(/^session="?[^;]+; Max-Age=60; Path=\/; HttpOnly$/);
    const again = await many(12, () => world.ask("hashed", { headers: { cookie } }));
    expect(new Set(again.map(({ body }) => body))).toEqual(new Set([first.body]));
    await world.remove(hashing({}));
  });
});

/** Mends nothing, so that each error is seen. */
function noRetries(host: string) {
  return virtualService(`${host}-no-retries`, {
    hosts: [host],
    http: [{ retries: { attempts: 0 }, route: [{ destination: { host } }] }],
  });
}
