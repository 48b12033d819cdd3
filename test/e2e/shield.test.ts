/** What a shield does for a broken canary's users, and what is counted meanwhile, at a real Envoy. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  Client,
  credentials,
  Server as GrpcServer,
  Metadata,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type RunMark, runAnnotation, type Shield } from "../../api/annotations.ts";
import type { UnreadObject } from "../../api/resource.ts";
import type { Attempt, Cut, Run, Signal, Signals, Window } from "../../api/signals.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { talk } from "./support/talk.ts";
import {
  type Answer,
  destinationRule,
  istioObject,
  many,
  startTraffic,
  type Traffic,
} from "./support/traffic.ts";

const network = `127.${100 + (process.pid % 50)}`;
const shield: Shield = { methods: ["GET", "HEAD"], hangAfter: 1000 };
const hostOf = (service: string) => `${service}.demo.svc.cluster.local`;
const run: Run = {
  route: { kind: "VirtualService", namespace: "demo", name: "shop" },
  canaryUid: "uid-1",
  namespace: "demo",
  primary: { host: hostOf("shop-primary"), workload: "shop-primary" },
  canary: { host: hostOf("shop-canary"), workload: "shop-canary" },
  run: "run-1",
  revision: "r1",
};

interface RouteOptions {
  /** null: none. */
  readonly shield?: Shield | null;
  /** Of the HTTP route. */
  readonly more?: object;
  /** Routes before it. */
  readonly before?: readonly object[];
  readonly gateways?: readonly string[];
}

function split(weight: number) {
  const to = (host: string, share: number) => ({ destination: { host }, weight: share });
  return [to("shop-primary", 100 - weight), to("shop-canary", weight)];
}

/** The route of the run. @param weight percent of the canary */
function route(weight: number, options: RouteOptions = {}): UnreadObject {
  const of = options.shield === null ? undefined : (options.shield ?? shield);
  const mark: RunMark = {
    canary: { namespace: "demo", name: "shop", uid: run.canaryUid },
    ...{ run: run.run, revision: run.revision, primaryHost: run.primary.host, canaryHost: run.canary.host },
    ...(of && { shield: of }),
  };
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "shop", annotations: { [runAnnotation]: JSON.stringify(mark) } },
    spec: {
      hosts: [options.gateways ? "*" : "shop"],
      ...(options.gateways && { gateways: options.gateways }),
      http: [...(options.before ?? []), { ...options.more, route: split(weight) }],
    },
  };
}

/** The newest windows of the run by arm, as its callers see it, and its attempts. */
function follow(signals: Signals | undefined) {
  const windows = new Map<string, Window>();
  const attempts: Attempt[] = [];
  const abort = new AbortController();
  const keep = (signal: Signal) => {
    if (signal.kind === "attempt") attempts.push(signal);
    if (signal.kind === "window" && signal.side === "client") windows.set(signal.arm, signal);
  };
  void (async () => {
    for await (const signal of signals?.watch(run, abort.signal) ?? []) keep(signal);
  })();
  return { attempts, windows, stop: () => abort.abort() };
}

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

describe.skipIf(envoyMissing !== undefined)(
  "a shield of gRPC calls whose author says they may be repeated",
  () => {
    let world: Traffic;
    const servers: GrpcServer[] = [];
    let ofCanary: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => void;
    let arrived = 0;

    beforeAll(async () => {
      world = await startTraffic(`127.${40 + (process.pid % 50)}`);
      for (const app of ["shop-primary", "shop-canary"]) {
        const ip = await world.pod(app, `${app}-1`, { serves: false });
        const server = new GrpcServer();
        server.addService(talk, {
          Say: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
            if (app === "shop-primary") return answer(null, Buffer.from("primary"));
            arrived += 1;
            ofCanary(call, answer);
          },
        });
        await new Promise<void>((resolve, reject) =>
          server.bindAsync(`${ip}:8080`, ServerCredentials.createInsecure(), (error) =>
            error ? reject(error) : resolve(),
          ),
        );
        servers.push(server);
      }
      for (const service of ["shop", "shop-primary", "shop-canary"])
        await world.service(service, { name: "grpc", port: 80, targetPort: 8080 });
      await world.apply(route(100, { shield: { methods: ["POST"], hangAfter: 1000 } }));
    });
    afterAll(async () => {
      for (const server of servers) server.forceShutdown();
      await world?.stop();
    });

    function say(): Promise<string> {
      const client = new Client(`${world.caller}:${world.proxyPort}`, credentials.createInsecure(), {
        "grpc.default_authority": "shop:80",
      });
      const { path, requestSerialize, responseDeserialize } = talk.Say;
      return new Promise((resolve) => {
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          Buffer.from("hello"),
          (error, answer) => {
            client.close();
            resolve(error === null ? String(answer) : `status ${error.code}`);
          },
        );
      });
    }

    test.each([
      ["is answered by the canary where it is well", undefined, "canary"],
      ["is rescued from status 14, unavailable", status.UNAVAILABLE, "primary"],
      ["is rescued from status 4, deadline exceeded", status.DEADLINE_EXCEEDED, "primary"],
      ["is rescued from status 13, internal", status.INTERNAL, "primary"],
      ["is rescued from status 8, resource exhausted", status.RESOURCE_EXHAUSTED, "primary"],
      // No condition of Envoy's names it.
      ["keeps status 2, unknown", status.UNKNOWN, "status 2"],
    ] as const)("%s", async (_, code, heard) => {
      ofCanary = (_call, answer) =>
        code === undefined ? answer(null, Buffer.from("canary")) : answer({ code, details: "by the test" });
      const before = arrived;
      expect(await say()).toBe(heard);
      expect(arrived).toBe(before + 1);
    });

    test("is rescued from a call that hangs, and not from a failure after the answer has begun", async () => {
      ofCanary = () => {};
      expect(await say()).toBe("primary");
      ofCanary = (call, answer) => {
        call.sendMetadata(new Metadata());
        setTimeout(() => answer({ code: status.UNAVAILABLE, details: "too late" }), 20);
      };
      expect(await say()).toBe("status 14");
    });
  },
);

describe.skipIf(envoyMissing !== undefined)(
  "a shield at a proxy without our runtime layer, and at a gateway",
  () => {
    let world: Traffic;
    let atCanary = 0;
    beforeAll(async () => {
      world = await startTraffic(`127.${150 + (process.pid % 50)}`, {}, "NONE", "demo", { layer: false });
      const fails: Behaviour = (_, response) => {
        atCanary += 1;
        response.writeHead(500).end();
      };
      await world.pod("shop-primary", "primary-1");
      await world.pod("shop-canary", "canary-1", { answering: fails });
      for (const service of ["shop", "shop-primary", "shop-canary"]) await world.service(service);
    });
    afterAll(() => world?.stop());

    test("has its share in the table", async () => {
      for (const [weight, least, most] of [
        [30, 24, 36],
        [0, 0, 0],
      ] as const) {
        await world.apply(route(weight));
        const gets = await many(1000, () => world.ask("shop"));
        expect(gets.every(({ status }) => status === 200)).toBe(true);
        const posts = await many(1000, () => world.ask("shop", { method: "POST" }));
        const failed = posts.filter(({ status }) => status === 500).length / 10;
        expect(failed).toBeGreaterThanOrEqual(least);
        expect(failed).toBeLessThanOrEqual(most);
      }
    });

    test("stands at gateways as well: behind a VirtualService, and behind an HTTPRoute", async () => {
      const name = "gateway.networking.k8s.io/gateway-name";
      const ip = await world.gateway({ app: "edge", [name]: "rim" });
      const edge = { port: { number: 8080, name: "http", protocol: "HTTP" }, hosts: ["*"] };
      const gateway = istioObject("networking", "Gateway", "edge", {
        selector: { app: "edge" },
        servers: [edge],
      });
      const virtual = route(50, { gateways: ["edge"] });
      const gatewayApi = { apiVersion: "gateway.networking.k8s.io/v1", metadata: { name: "rim" } };
      const backends = split(50).map(({ destination, weight }) => ({
        name: destination.host,
        port: 80,
        weight,
      }));
      const objects: UnreadObject[] = [
        {
          ...gatewayApi,
          kind: "GatewayClass",
          metadata: { name: "fairlead" },
          spec: { controllerName: "fairlead.dev/gateway" },
        },
        {
          ...gatewayApi,
          kind: "Gateway",
          spec: { gatewayClassName: "fairlead", listeners: [{ name: "http", port: 8081, protocol: "HTTP" }] },
        },
        {
          ...gatewayApi,
          kind: "HTTPRoute",
          metadata: { name: "shop", annotations: virtual.metadata.annotations ?? {} },
          spec: { parentRefs: [{ name: "rim" }], rules: [{ backendRefs: backends }] },
        },
      ];
      await world.apply(gateway, virtual, ...objects);
      for (const port of [8080, 8081]) {
        const ask = async (method: string) => (await fetch(`http://${ip}:${port}/`, { method })).status;
        await until(`the gateway serves ${port}`, async () => (await ask("GET").catch(() => 0)) === 200);
        const before = atCanary;
        const answers = await Promise.all(Array.from({ length: 100 }, () => ask("GET")));
        expect(answers.every((status) => status === 200)).toBe(true);
        expect(atCanary - before).toBeGreaterThan(25);
        expect(await Promise.all(Array.from({ length: 100 }, () => ask("POST")))).toContain(500);
      }
    });
  },
);

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
