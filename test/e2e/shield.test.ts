/** What a shield does for a broken canary's users, and what is counted meanwhile, at a real Envoy. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { UnreadObject } from "../../api/resource.ts";
import type { Cut } from "../../api/signals.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { follow, hostOf, route, run } from "./support/shielded.ts";
import { type Answer, destinationRule, many, startTraffic, type Traffic } from "./support/traffic.ts";

const network = `127.${100 + (process.pid % 50)}`;

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

const healthy: Behaviour = (_, response) => response.end("canary");
const behaviours: Readonly<Record<string, Behaviour>> = {
  "answers 500": (_, response) => response.writeHead(500).end(),
  resets: (request) => request.socket.destroy(),
  hangs: () => {},
  "dies in the middle of a body": (request, response) => {
    response.writeHead(200, { "content-length": "100" }).write("half of it");
    setTimeout(() => request.socket.destroy(), 2);
  },
};

describe.skipIf(envoyMissing !== undefined)("a shield", () => {
  let world: Traffic;
  let seen: ReturnType<typeof follow>;
  let behave: Behaviour = healthy;
  const canaries: { readonly ip: string; readonly server: Server }[] = [];
  /** Requests that the canary's pods have met: which pod, and the request's `x-user`. */
  const met: { readonly pod: string; readonly user: string }[] = [];
  let byPrimary = 0;
  let byCopy = 0;
  /** What the canary's window must say, all tests so far together. */
  const expected = { requests: 0, failed: 0, rescued: 0, notRescued: 0 };

  beforeAll(async () => {
    world = await startTraffic(network, {}, "NONE", "demo", { signals: true });
    for (const pod of ["a", "b", "c"]) {
      const answering: Behaviour = (_, response) => {
        byPrimary += 1;
        response.end("primary");
      };
      await world.pod("shop-primary", `shop-primary-${pod}`, { deployed: true, answering });
      const ip = await world.pod("shop-canary", `shop-canary-${pod}`, { deployed: true, serves: false });
      const server = createServer((request, response) => {
        met.push({ pod, user: String(request.headers["x-user"]) });
        behave(request, response);
      });
      canaries.push({ ip, server });
    }
    await listen();
    const answering: Behaviour = (_, response) => {
      byCopy += 1;
      response.end("copy");
    };
    await world.pod("copy", "copy-1", { answering });
    for (const service of ["shop", "shop-primary", "shop-canary", "copy"]) await world.service(service);
    seen = follow(world.signals);
  });
  afterAll(async () => {
    seen?.stop();
    await world?.stop();
    await close();
  });

  afterEach(() => {
    behave = healthy;
  });

  async function listen(): Promise<void> {
    for (const { ip, server } of canaries)
      await new Promise<void>((resolve) => server.listen(8080, ip, resolve));
  }

  async function close(): Promise<void> {
    for (const { server } of canaries) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  const gone: Answer = { status: 0, body: "", headers: {}, milliseconds: 0 };
  const get = (headers = {}) => world.ask("shop", { headers }).catch(() => gone);
  const unanswered = (answers: readonly Answer[]) =>
    answers.filter(({ status, body }) => status !== 200 || body !== "primary").length;

  /** The windows say what the versions have met, once all is reported. */
  async function expectCounts(): Promise<void> {
    await expect
      .poll(
        () => {
          const { requests, failed, rescued, notRescued } = seen.windows.get("canary") ?? {};
          return { requests, failed, rescued, notRescued, primary: seen.windows.get("primary")?.requests };
        },
        { timeout: 8000, interval: 50 },
      )
      .toEqual({ ...expected, primary: byPrimary - expected.rescued });
    expect(seen.windows.get("primary")?.failed).toBe(0);
  }

  test.each(Object.keys(behaviours))("of a canary that %s", async (name) => {
    await world.apply(route(50));
    behave = behaviours[name] ?? healthy;
    const [before, told] = [met.length, seen.attempts.length];
    const answers = await many(200, () => get());
    const attempts = met.length - before;
    expect(attempts).toBeGreaterThan(60);
    // What a user has begun to read cannot be asked for again.
    const lost = name.startsWith("dies") ? attempts : 0;
    expect(unanswered(answers)).toBe(lost);
    expected.requests += attempts;
    expected.failed += attempts;
    expected.rescued += attempts - lost;
    expected.notRescued += lost;
    await expectCounts();
    const ofCanary = () => seen.attempts.slice(told).filter(({ arm }) => arm === "canary");
    await expect.poll(() => ofCanary().length).toBe(attempts);
    expect(ofCanary().every(({ failed }) => failed)).toBe(true);
    // One in fifty of the primary's own stands for all; its rescues do not count.
    expect(seen.attempts.slice(told).filter(({ arm }) => arm === "primary").length).toBeLessThan(20);
    expect(seen.attempts.some(({ arm, failed }) => arm === "primary" && failed)).toBe(false);
  });

  test("of a canary that refuses connections", async () => {
    await close();
    const before = seen.attempts.length;
    expect(unanswered(await many(200, () => get()))).toBe(0);
    const refused = () => seen.attempts.slice(before).filter(({ arm }) => arm === "canary");
    await expect.poll(() => refused().length).toBeGreaterThan(60);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(refused().every(({ failed, flags }) => failed && flags.includes("UF"))).toBe(true);
    expected.requests += refused().length;
    expected.failed += refused().length;
    expected.rescued += refused().length;
    await expectCounts();
    await listen();
  });

  test("of a canary without a ready endpoint: what was meant for it counts as failed", async () => {
    await world.apply(canarySlice([]));
    const before = seen.attempts.length;
    const answers = await many(200, () => get());
    expect(unanswered(answers)).toBe(0);
    const missed = () => seen.attempts.slice(before).filter(({ arm }) => arm === "canary");
    await expect.poll(() => missed().length).toBeGreaterThan(60);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(missed().every(({ failed, flags }) => failed && flags.includes("UH"))).toBe(true);
    expected.requests += missed().length;
    expected.failed += missed().length;
    expected.rescued += missed().length;
    await expectCounts();
    await world.apply(canarySlice(canaries.map(({ ip }) => ip)));
  });

  test("steps by two numbers; other methods are split by the weights and go without it", async () => {
    behave = behaviours["answers 500"] ?? healthy;
    await world.apply(route(1));
    const before = await routes();
    expect(JSON.stringify(before)).toContain("shield|80||shop-canary");
    for (const [weight, least, most] of [
      [20, 15, 25],
      [50, 44, 56],
      [0, 0, 0],
      [100, 100, 100],
    ] as const) {
      await world.apply(route(weight));
      for (const method of ["GET", "POST"]) {
        const from = met.length;
        const answers = await many(1000, () => world.ask("shop", { method }));
        const share = (met.length - from) / 10;
        expect(share, `${method} at ${weight} %`).toBeGreaterThanOrEqual(least);
        expect(share, `${method} at ${weight} %`).toBeLessThanOrEqual(most);
        expect(unanswered(answers)).toBe(method === "GET" ? 0 : met.length - from);
        expected.requests += met.length - from;
        expected.failed += met.length - from;
        expected[method === "GET" ? "rescued" : "notRescued"] += met.length - from;
      }
    }
    await expectCounts();
    expect(await routes()).toEqual(before);
  });

  test("goes to 0 with a cut, whatever the stored route says", async () => {
    await world.apply(route(50));
    const cut: Cut = {
      ...{ kind: "cut", id: "cut-1", canaryUid: run.canaryUid, run: run.run, revision: run.revision },
      ...{ route: run.route, canaryDestinations: [run.canary.host], primaryDestination: run.primary.host },
      ...{ reason: "a test", at: Date.now() },
    };
    await world.signals?.cut(cut);
    await until("the cut is held", () => world.mesh.connectedProxies().every(({ synced }) => synced));
    const before = met.length;
    await many(200, () => get());
    await many(200, () => world.ask("shop", { method: "POST" }));
    expect(met.length).toBe(before);
    await world.signals?.release(cut.id);
  });

  test("begins and ends under load without a failed request, and leaves no cluster behind", async () => {
    let going = true;
    const failures: Answer[] = [];
    const load = Array.from({ length: 8 }, async () => {
      while (going) {
        const answer = await get();
        if (answer.status !== 200) failures.push(answer);
      }
    });
    for (let round = 0; round < 5; round += 1) {
      await world.apply(route(30, { shield: null }));
      await world.apply(route(30));
    }
    await world.apply(route(0, { shield: null }));
    const clusters = async () => (await fetch(`http://${world.envoy.admin}/clusters`)).text();
    await until("the composite cluster is gone", async () => !(await clusters()).includes("shield|"), 20_000);
    going = false;
    await Promise.all(load);
    expect(failures).toEqual([]);
  }, 60_000);

  test("leaves the route's matches, mirrors, faults, retries and sessions as they are", async () => {
    const header = destinationRule("sticky", {
      host: "shop-canary",
      trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: "x-user" } } },
    });
    const more = {
      timeout: "2s",
      mirror: { host: "copy" },
      mirrorPercentage: { value: 30 },
      fault: { abort: { httpStatus: 418, percentage: { value: 10 } } },
      retries: { attempts: 2, retryOn: "retriable-4xx" },
    };
    const special = {
      match: [{ headers: { "x-special": { exact: "yes" } } }],
      directResponse: { status: 204 },
    };
    await world.apply(header, route(50, { more, before: [special] }));
    const from = { met: met.length, copy: byCopy, primary: byPrimary };
    const answers = await many(2000, (index) => get({ "x-user": String(index % 10) }));
    const teapots = answers.filter(({ status }) => status === 418).length;
    expect(teapots).toBeGreaterThan(140);
    expect(teapots).toBeLessThan(260);
    const [atCanary, atPrimary] = [met.length - from.met, byPrimary - from.primary];
    expect(atCanary + atPrimary).toBe(2000 - teapots);
    expect(Math.abs(atCanary - atPrimary)).toBeLessThan(250);
    const podsOf = Map.groupBy(met.slice(from.met), ({ user }) => user);
    for (const [user, requests] of podsOf)
      expect(new Set(requests.map(({ pod }) => pod)).size, `pods of user ${user}`).toBe(1);
    // A share of both versions' requests, as it is of each alone.
    await expect.poll(() => (byCopy - from.copy) / (2000 - teapots)).toBeGreaterThan(0.24);
    expect((byCopy - from.copy) / (2000 - teapots)).toBeLessThan(0.36);
    expect((await get({ "x-special": "yes" })).status).toBe(204);
    await world.remove(header);
  });

  /** The routes of the shop's virtual host that Envoy has. */
  async function routes(): Promise<readonly object[] | undefined> {
    const page = await fetch(`http://${world.envoy.admin}/config_dump?resource=dynamic_route_configs`);
    const { configs } = (await page.json()) as {
      configs: { route_config: { virtual_hosts: { name: string; routes: object[] }[] } }[];
    };
    const hosts = configs.flatMap((config) => config.route_config.virtual_hosts);
    return hosts.find(({ name }) => name === `${hostOf("shop")}:80`)?.routes;
  }
});

function canarySlice(addresses: readonly string[]): UnreadObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "shop-canary-1", labels: { "kubernetes.io/service-name": "shop-canary" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: addresses.map((address, index) => ({
      addresses: [address],
      conditions: { ready: true },
      targetRef: { kind: "Pod", name: `shop-canary-${"abc"[index]}` },
    })),
  } as UnreadObject;
}
