/** A/B testing, blue/green, mirroring, session affinity and a release by HTTPRoute on real Envoys, by what a client in the mesh observes. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CanaryAnalysis, CanarySpec, CanaryStatus } from "../../api/generated/canaries.ts";
import { CanaryKind, HTTPRouteKind, VirtualServiceKind } from "../../api/kinds.ts";
import type { UnreadObject } from "../../api/resource.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import { apply } from "../../cli/demo/release.ts";
import type { World } from "../../cli/demo/world.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing, freePort } from "../support/envoy.ts";
import { openWorld } from "./support/world.ts";

const { namespace } = manifests;
const plan = { interval: "1s", threshold: 5 };
const strategies: Readonly<Record<string, CanaryAnalysis>> = {
  "a-b": {
    ...plan,
    iterations: 3,
    match: [{ headers: { "x-user": { prefix: "insider" } }, queryParams: { beta: { exact: "1" } } }],
  },
  "blue-green": { ...plan, iterations: 2 },
  mirror: { ...plan, iterations: 2, mirror: true },
  sticky: { ...plan, stepWeights: [30, 60], sessionAffinity: { cookieName: "release", path: "/" } },
  "by-http-route": { ...plan, stepWeights: [30, 60] },
};
/** What of their specs differs besides. */
const others: Readonly<Record<string, Partial<CanarySpec>>> = {
  "by-http-route": {
    provider: "gatewayapi:v1",
    service: {
      ...{ port: 80, targetPort: 8080, portName: "http" },
      // For callers in the mesh: the route's parent is the Service itself.
      gatewayRefs: [{ group: "", kind: "Service", name: "by-http-route" }],
    },
  },
};

interface Answer {
  readonly status: number;
  readonly version?: string;
  readonly cookies: readonly string[];
}

// Its client is told what to ask past its sidecar, which a pod in a network namespace has no way for.
const skipped = envoyMissing ?? (process.env.FAIRLEAD_NETWORK === "netns" ? " needs loopback" : undefined);

describe.skipIf(skipped !== undefined)("what clients see of a release", () => {
  let world: World;
  let record: string;
  let control: string;
  let asked = 0;

  beforeAll(async () => {
    world = await openWorld();
    record = join(world.folder, "received");
    const port = await freePort();
    control = `http://127.0.0.1:${port}/`;
    await apply(world.client, manifests.namespaceManifest(), manifests.serviceAccount("shop"));
    const client = workload("client", "strategy-client", { CONTROL_PORT: String(port) });
    await apply(world.client, client, ...Object.keys(strategies).map((name) => app(name, "1")));
    await apply(
      world.client,
      ...Object.entries(strategies).map(([name, analysis]) => canary(name, analysis)),
    );
    const names = Object.keys(strategies);
    await until(
      "all are initialized",
      async () => {
        const phases = await Promise.all(names.map(async (name) => (await statusOf(name))?.phase));
        return phases.every((phase) => phase === "Initialized");
      },
      90_000,
    );
    await until(
      "the client reaches all",
      async () => {
        const answers = await Promise.all(names.map((name) => ask(name).catch(() => undefined)));
        return answers.every((answer) => answer?.version === "1");
      },
      30_000,
    );
    await apply(world.client, ...names.map((name) => app(name, "2")));
  });
  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
  });

  function workload(name: string, program: string, env: Record<string, string>): UnreadObject {
    const command = [process.execPath, join(import.meta.dirname, "support", `${program}.ts`)];
    const container = {
      name,
      image: `process://${program}`,
      command,
      env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
      ...(program === "strategy-app" && {
        ports: [{ name: "http", containerPort: 8080 }],
        readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
      }),
    };
    return {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace, labels: { app: name } },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: { serviceAccountName: "shop", terminationGracePeriodSeconds: 5, containers: [container] },
        },
      },
    };
  }

  const app = (name: string, version: string) =>
    workload(name, "strategy-app", { VERSION: version, RECORD: record });

  function canary(name: string, analysis: CanaryAnalysis): UnreadObject {
    return {
      apiVersion: "flagger.app/v1beta1",
      kind: "Canary",
      metadata: { name, namespace },
      spec: {
        targetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
        service: { port: 80, targetPort: 8080, portName: "http" },
        analysis,
        ...others[name],
      },
    };
  }

  async function statusOf(name: string): Promise<CanaryStatus | undefined> {
    return (await world.client.get(CanaryKind, namespace, name))?.status;
  }

  async function ask(name: string, headers: Record<string, string> = {}, query = ""): Promise<Answer> {
    const number = String(asked++);
    const body = JSON.stringify({
      url: `http://${name}/${query}`,
      headers: { ...headers, "x-request-number": number },
    });
    const response = await fetch(control, { method: "POST", body });
    return (await response.json()) as Answer;
  }

  /** Which versions answer `count` such requests. */
  async function versions(count: number, name: string, headers = {}, query = ""): Promise<readonly string[]> {
    const answers: Answer[] = [];
    for (let left = count; left > 0; left--) answers.push(await ask(name, headers, query));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    return [...new Set(answers.map(({ version = "none" }) => version))];
  }

  /** Holds the run as soon as it is there, until `look` has seen enough. */
  async function holdAt(
    name: string,
    isThere: (status: CanaryStatus) => boolean,
    look: () => Promise<void>,
  ): Promise<void> {
    await until(
      `${name} is there`,
      async () => {
        const status = await statusOf(name);
        return status !== undefined && isThere(status);
      },
      60_000,
    );
    await annotate(name, "true");
    await look();
    await annotate(name, null);
  }

  async function annotate(name: string, paused: string | null): Promise<void> {
    const body = { metadata: { annotations: { "fairlead.dev/paused": paused } } };
    await world.client.patch(CanaryKind, namespace, name, { kind: "merge", body });
  }

  /** Until the proxies follow what the status already says. */
  const follows = (what: string, is: () => Promise<boolean>) => until(what, is, 10_000);

  async function succeeded(name: string): Promise<void> {
    await until(`${name} is promoted`, async () => (await statusOf(name))?.phase === "Succeeded", 60_000);
    expect(await versions(20, name)).toEqual(["2"]);
  }

  test.concurrent("A/B testing: only who fits both conditions sees the new version", async () => {
    const insider = { "x-user": "insider-7" };
    await holdAt(
      "a-b",
      ({ iterations = 0 }) => iterations >= 1,
      async () => {
        await follows("insiders", async () => (await ask("a-b", insider, "?beta=1")).version === "2");
        expect(await versions(30, "a-b", insider, "?beta=1")).toEqual(["2"]);
        expect(await versions(30, "a-b", insider)).toEqual(["1"]);
        expect(await versions(30, "a-b", {}, "?beta=1")).toEqual(["1"]);
      },
    );
    await succeeded("a-b");
  });

  test.concurrent("blue/green: nobody sees the new version, then everybody does", async () => {
    await holdAt(
      "blue-green",
      ({ iterations = 0 }) => iterations >= 1,
      async () => {
        expect(await versions(30, "blue-green")).toEqual(["1"]);
      },
    );
    await holdAt(
      "blue-green",
      ({ canaryWeight }) => canaryWeight === 100,
      async () => {
        await follows("the switch", async () => (await ask("blue-green")).version === "2");
        expect(await versions(30, "blue-green")).toEqual(["2"]);
      },
    );
    await succeeded("blue-green");
  });

  test.concurrent("mirroring: the new version gets each request, and its answers are seen by nobody", async () => {
    await holdAt(
      "mirror",
      ({ iterations = 0, canaryWeight }) => iterations >= 1 && canaryWeight === 0,
      async () => {
        const copies = () =>
          readFileSync(record, "utf8")
            .split("\n")
            .filter((line) => line.startsWith("2 "));
        await follows("copies", async () => {
          const number = `2 ${asked}`;
          await ask("mirror");
          return copies().includes(number);
        });
        const first = asked;
        const numbers: number[] = [];
        for (let left = 30; left > 0; left--) {
          numbers.push(asked);
          expect((await ask("mirror")).version).toBe("1");
        }
        expect(numbers[0]).toBeGreaterThanOrEqual(first);
        await follows("all copies", async () => {
          const seen = new Set(copies());
          return numbers.every((number) => seen.has(`2 ${number}`));
        });
      },
    );
    await succeeded("mirror");
  });

  test.concurrent("an HTTPRoute of the Gateway API: the new version's share is the weight, and there is no VirtualService", async () => {
    const name = "by-http-route";
    for (const weight of [30, 60]) {
      await holdAt(
        name,
        ({ canaryWeight }) => canaryWeight === weight,
        async () => {
          const route = await world.client.get(HTTPRouteKind, namespace, name);
          expect(route?.spec.rules?.[0]?.backendRefs?.map((backend) => backend.weight)).toEqual([
            100 - weight,
            weight,
          ]);
          const share = async () => {
            const answers: Answer[] = [];
            for (let left = 200; left > 0; left--) answers.push(await ask(name));
            expect(answers.every(({ status }) => status === 200)).toBe(true);
            return answers.filter(({ version }) => version === "2").length / 2;
          };
          // Four standard deviations of 200 draws.
          await follows("the share", async () => Math.abs((await share()) - weight) < 14);
        },
      );
    }
    await succeeded(name);
    expect(await world.client.get(VirtualServiceKind, namespace, name)).toBeUndefined();
  });

  test.concurrent("session affinity: a user stays, and the share of users is the weight", async () => {
    const cookieOf = ({ cookies }: Answer) => cookies.map((cookie) => cookie.split(";")[0] ?? "").join("; ");
    const users: { version: string | undefined; cookie: string }[] = [];
    const share = () => users.filter(({ version }) => version === "2").length / users.length;
    await holdAt(
      "sticky",
      ({ canaryWeight }) => canaryWeight === 30,
      async () => {
        await follows("cookies", async () => (await ask("sticky")).cookies.length === 1);
        for (let left = 150; left > 0; left--) {
          const answer = await ask("sticky");
          users.push({ version: answer.version, cookie: cookieOf(answer) });
        }
        expect(share()).toBeGreaterThan(0.17);
        expect(share()).toBeLessThan(0.43);
        for (const version of ["1", "2"]) {
          const user = users.find((one) => one.version === version);
          expect(await versions(10, "sticky", { cookie: `theme=dark; ${user?.cookie}` })).toEqual([version]);
        }
      },
    );
    await holdAt(
      "sticky",
      ({ canaryWeight }) => canaryWeight === 60,
      async () => {
        await follows("60 %", async () => {
          const status = await statusOf("sticky");
          const { cookies } = await ask("sticky");
          return (
            cookies.some((cookie) => cookie.includes(`${status?.primarySessionAffinityCookie}`)) ||
            cookies.length === 0
          );
        });
        for (const [index, user] of users.entries()) {
          const { version } = await ask("sticky", { cookie: user.cookie });
          if (user.version === "2") expect(version).toBe("2");
          users[index] = { ...user, version };
        }
        expect(share()).toBeGreaterThan(0.45);
        expect(share()).toBeLessThan(0.75);
      },
    );
    await succeeded("sticky");
    const { cookies } = await ask("sticky", {
      cookie: (await statusOf("sticky"))?.previousSessionAffinityCookie ?? "",
    });
    expect(cookies).toEqual([expect.stringContaining("Max-Age=-1; Path=/")]);
  });
});
