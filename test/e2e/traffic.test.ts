/** What routes and policies do, by what the client of a real Envoy observes. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { UnreadObject } from "../../api/resource.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import {
  type Answer,
  destinationRule,
  startTraffic,
  type Traffic,
  virtualService,
} from "./support/traffic.ts";

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

function expectWithin(actual: number, least: number, most: number): void {
  expect(actual).toBeGreaterThanOrEqual(least);
  expect(actual).toBeLessThanOrEqual(most);
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
  test("weights, three mirrors, a delay and an abort of one route are independent of one another", {
    retry: 1,
  }, async () => {
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
    const together = (a: string, b: string) =>
      (sets.get(a) ?? new Set()).intersection(sets.get(b) ?? new Set());
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

  test("faults: an abort and a delay for whom the match names", async () => {
    const faults = virtualService("faults", {
      hosts: ["one"],
      http: [
        {
          match: [{ headers: { "end-user": { exact: "jason" } } }],
          fault: { abort: { httpStatus: 500, percentage: { value: 100 } } },
          route: [{ destination: { host: "one" } }],
        },
        {
          match: [{ headers: { "end-user": { exact: "slow" } } }],
          fault: { delay: { fixedDelay: "0.6s", percentage: { value: 100 } } },
          route: [{ destination: { host: "one" } }],
        },
        { route: [{ destination: { host: "one" } }] },
      ],
    });
    await world.apply(faults);
    const as = (user: string) => world.ask("one", { headers: { "end-user": user } });
    expect(await as("jason")).toMatchObject({ status: 500, body: "fault filter abort" });
    const slow = await as("slow");
    expect(slow).toMatchObject({ status: 200, body: "one" });
    expect(slow.milliseconds).toBeGreaterThanOrEqual(600);
    expect(await as("anyone")).toMatchObject({ status: 200, body: "one" });
    await world.remove(faults);
  });

  test("retries: on another host, by status, as often as asked, and not at all", async () => {
    const tries: string[] = [];
    for (const name of ["flaky-1", "flaky-2", "flaky-3"]) {
      await world.pod("flaky", name, {
        answering: ({ headers }, response) => {
          tries.push(name);
          response.statusCode = Number(headers["x-envoy-attempt-count"]) <= 2 ? 503 : 200;
          response.end(name);
        },
      });
    }
    await world.service("flaky");
    const retries = (settings: object) =>
      virtualService("retries", {
        hosts: ["flaky"],
        http: [{ retries: settings, route: [{ destination: { host: "flaky" } }] }],
      });
    const attempt = async (settings: object) => {
      await world.apply(retries(settings));
      tries.length = 0;
      const { status } = await world.ask("flaky");
      return { status, tries: tries.length, hosts: new Set(tries).size };
    };
    expect(await attempt({ attempts: 2, retryOn: "5xx" })).toEqual({ status: 200, tries: 3, hosts: 3 });
    expect(await attempt({ attempts: 2, retryOn: "503" })).toEqual({ status: 200, tries: 3, hosts: 3 });
    expect(await attempt({ attempts: 1, retryOn: "5xx" })).toEqual({ status: 503, tries: 2, hosts: 2 });
    expect(await attempt({ attempts: 0 })).toEqual({ status: 503, tries: 1, hosts: 1 });
    expect(await attempt({ attempts: 2, retryOn: "502" })).toEqual({ status: 503, tries: 1, hosts: 1 });
    await world.remove(retries({}));
  });

  test("timeouts: of the whole, and of each try", async () => {
    let tries = 0;
    await world.pod("sleepy", "sleepy", {
      answering: (_request, response) => {
        tries += 1;
        const stop = setTimeout(() => response.end("late"), 2500);
        response.on("close", () => clearTimeout(stop));
      },
    });
    await world.service("sleepy");
    const route = [{ destination: { host: "sleepy" } }];
    const timeout = virtualService("timeout", { hosts: ["sleepy"], http: [{ timeout: "0.3s", route }] });
    await world.apply(timeout);
    const whole = await world.ask("sleepy");
    expect(whole.status).toBe(504);
    expectWithin(whole.milliseconds, 300, 2000);
    tries = 0;
    const perTry = { attempts: 2, perTryTimeout: "0.2s", retryOn: "5xx" };
    await world.apply(virtualService("timeout", { hosts: ["sleepy"], http: [{ retries: perTry, route }] }));
    expect((await world.ask("sleepy")).status).toBe(504);
    expect(tries).toBe(3);
    await world.remove(timeout);
  });

  test("mirroring: the mirror gets the request with its own host untouched, and its answer is not waited for", async () => {
    const hosts: (string | undefined)[] = [];
    await world.pod("shadow", "shadow", { answering: ({ headers }) => hosts.push(headers.host) });
    await world.service("shadow");
    const mirror = virtualService("mirror", {
      hosts: ["one"],
      http: [{ route: [{ destination: { host: "one" } }], mirror: { host: "shadow" } }],
    });
    await world.apply(mirror);
    expect(await world.ask("one")).toMatchObject({ status: 200, body: "one" });
    await until("the mirror was asked", () => hosts.length === 1);
    expect(hosts).toEqual(["one"]);
    await world.remove(mirror);
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

  describe("bad input is told by a condition that names the field, and all else goes on", () => {
    const good = virtualService("good", {
      hosts: ["two"],
      http: [{ directResponse: { status: 200, body: { string: "fine" } } }],
    });
    beforeAll(() => world.apply(good));
    afterAll(() => world.remove(good));

    const toOne = { route: [{ destination: { host: "one" } }] };
    const two = [{ destination: { host: "one" } }, { destination: { host: "two" } }];
    const cases: readonly (readonly [what: string, said: string, ...objects: readonly UnreadObject[]])[] = [
      [
        "overlapping hosts",
        "/spec/hosts/0: `two.demo.svc.cluster.local` is claimed by VirtualService `demo/good`, which is older and counts",
        virtualService("bad", { hosts: ["two"], http: [toOne] }),
      ],
      [
        "an unknown subset",
        "/spec/http/0/route/0/destination/subset: no DestinationRule for `one.demo.svc.cluster.local` has a subset `v9`",
        virtualService("bad", {
          hosts: ["one"],
          http: [{ route: [{ destination: { host: "one", subset: "v9" } }] }],
        }),
      ],
      [
        "weights that do not sum to 100",
        "/spec/http/0/route: weights sum to 70, not 100: each is taken as its share of the sum",
        virtualService("bad", {
          hosts: ["one"],
          http: [
            {
              route: [
                { ...two[0], weight: 30 },
                { ...two[1], weight: 40 },
              ],
            },
          ],
        }),
      ],
      [
        "a regular expression that RE2 refuses",
        "/spec/http/0/match/0/uri/regex: `(?=x)` is not a regular expression in RE2 syntax",
        virtualService("bad", {
          hosts: ["one"],
          http: [{ match: [{ uri: { regex: "(?=x)" } }], ...toOne }, toOne],
        }),
      ],
      [
        "delegates in a circle",
        "/spec/http/0/delegate: goes in a circle, demo/bad → demo/circle → demo/circle, so this route is left out",
        virtualService("bad", {
          hosts: ["one"],
          http: [{ match: [{ uri: { prefix: "/x" } }], delegate: { name: "circle" } }, toOne],
        }),
        virtualService("circle", { http: [{ delegate: { name: "circle" } }] }),
      ],
      [
        "an invalid certificate in a Secret",
        "/spec/trafficPolicy/tls/credentialName: Secret `demo/broken` has a certificate that is no PEM certificate",
        destinationRule("bad", {
          host: "mirror-a",
          workloadSelector: { matchLabels: { app: "caller" } },
          trafficPolicy: { tls: { mode: "MUTUAL", credentialName: "broken" } },
        }),
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: "broken" },
          type: "kubernetes.io/tls",
          data: { "tls.crt": btoa("no certificate"), "tls.key": btoa("no key"), "ca.crt": btoa("no roots") },
        },
      ],
    ];

    test.for(cases)("%s", async ([, said, ...objects]) => {
      await world.apply(...objects);
      const [bad] = objects;
      const condition = await until("the condition is written", () =>
        world.conditions(String(bad?.kind), "bad").find(({ type }) => type === "Accepted"),
      );
      expect(condition).toMatchObject({ status: "False", message: said });
      expect(world.conditions("VirtualService", "good").find(({ type }) => type === "Accepted")?.status).toBe(
        "True",
      );
      expect(await world.ask("two")).toMatchObject({ status: 200, body: "fine" });
      // What can be carried out of the bad one is; the rest of the mesh knows nothing of it.
      expect((await world.ask("one")).status).toBe(
        bad?.kind === "VirtualService" && said.includes("subset") ? 503 : 200,
      );
      await world.remove(...objects);
    });

    test("a VirtualService of 5,000 routes is served whole", async () => {
      const http = Array.from({ length: 5000 }, (_, index) => ({
        match: [{ uri: { exact: `/item/${index}` }, headers: { "x-kind": { exact: `kind-${index % 7}` } } }],
        directResponse: { status: 200, body: { string: String(index) } },
      }));
      const large = virtualService("large", { hosts: ["one"], http: [...http, toOne] });
      await world.apply(large);
      const ask = (index: number) =>
        world.ask("one", { path: `/item/${index}`, headers: { "x-kind": `kind-${index % 7}` } });
      expect((await ask(0)).body).toBe("0");
      expect((await ask(4999)).body).toBe("4999");
      expect((await world.ask("one", { path: "/item/5000" })).body).toBe("one");
      expect((await world.ask("two")).body).toBe("fine");
      await until("its condition says that it is held", () =>
        world
          .conditions("VirtualService", "large")
          .some(({ type, status }) => type === "Programmed" && status === "True"),
      );
      await world.remove(large);
    });
  });
});

/** Mends nothing, so that each error is seen. */
function noRetries(host: string) {
  return virtualService(`${host}-no-retries`, {
    hosts: [host],
    http: [{ retries: { attempts: 0 }, route: [{ destination: { host } }] }],
  });
}
