/** What each strategy makes of a release: its course, what its route carries, and the same end wherever the process is killed. */
import { describe, expect, test } from "vitest";
import { rollbackAnnotation, runAnnotation } from "../../api/annotations.ts";
import { type Deployment, DeploymentKind, ServiceKind } from "../../api/core.ts";
import type { CanarySpec } from "../../api/generated/canaries.ts";
import { type Canary, CanaryKind, type VirtualService } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/resource.ts";
import { canary, deployment } from "../testing/cluster.ts";
import { ended, passing, type Script, type Simulation, simulate } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";

const plan = { interval: "1s", threshold: 2 };
const match = [{ headers: { "x-user": { exact: "insider" } }, queryParams: { beta: { exact: "1" } } }];

const strategies: Readonly<Record<string, Partial<CanarySpec> & Pick<CanarySpec, "analysis">>> = {
  "A/B testing": { analysis: { ...plan, iterations: 2, match } },
  "blue/green": { analysis: { ...plan, iterations: 2 } },
  "blue/green with a mirror": { analysis: { ...plan, iterations: 2, mirror: true, mirrorWeight: 50 } },
  "blue/green without a mesh": { provider: "kubernetes", analysis: { ...plan, iterations: 2 } },
  "weights with a mirror": { analysis: { ...plan, stepWeights: [20, 60], mirror: true } },
  "weights of some requests": { analysis: { ...plan, stepWeights: [20, 60], match } },
  "session affinity": {
    analysis: { ...plan, stepWeights: [20, 60], sessionAffinity: { cookieName: "v", path: "/" } },
  },
  "promotion by steps": { analysis: { ...plan, stepWeights: [50], stepWeightPromotion: 20 } },
  "no analysis": { skipAnalysis: true },
};

/** An initialized canary whose target has just become `app:2`. */
async function released(spec: Partial<CanarySpec>): Promise<World> {
  const world = createWorld();
  world.put(deployment("shop", "app:1"));
  const made = canary("shop", undefined);
  world.put({ ...made, spec: { ...made.spec, ...spec } } as Canary);
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  setImage(world, "app:2");
  return world;
}

function setImage(world: World, image: string): void {
  world.edit(DeploymentKind, "shop", (object) => {
    const spec = object.spec ?? { selector: {}, template: {} };
    const template = { ...spec.template, spec: { containers: [{ name: "app", image }] } };
    return { ...object, spec: { ...spec, template } };
  });
}

/** The canary's share of users' requests, highest over all rules; of a Service: by whom it selects. */
function exposure(world: World, provider: string | undefined): number {
  if (provider === "kubernetes") {
    const selector = world.snapshot().get(ServiceKind, "default", "shop")?.spec?.selector;
    return selector?.app === "shop" ? 100 : 0;
  }
  return shareOf(world.route());
}

function shareOf(route: VirtualService | undefined): number {
  const rules = route?.spec.http ?? [];
  return Math.max(0, ...rules.map(({ route: arms = [] }) => arms.find(isCanary)?.weight ?? 0));
}

const isCanary = ({ destination }: { destination: { host: string } }) => destination.host === "shop-canary";

function imageOf(object: KubeObject | undefined): string | undefined {
  return (object as Deployment | undefined)?.spec?.template.spec?.containers[0]?.image;
}

/** Which phase may follow which in a status. */
const graph: Readonly<Record<string, readonly string[]>> = {
  Initialized: ["Progressing"],
  Progressing: ["Promoting", "Failed"],
  Promoting: ["Finalising", "Failed"],
  Finalising: ["Succeeded"],
  Succeeded: [],
  Failed: [],
};

/** I5: phases follow the graph. I6: no interval is counted twice. */
function checkStatus({ status: after }: Canary, { status: before }: Canary): void {
  const [from = "", to = ""] = [before?.phase, after?.phase];
  if (from !== to) expect(graph[from]).toContain(to);
  const [was, is] = [before?.run, after?.run];
  if (was?.tickedAt === undefined || is?.tickedAt === undefined || was.tickedAt === is.tickedAt) return;
  // The first step starts the clock anew.
  const begins = (before?.canaryWeight ?? 0) + (before?.iterations ?? 0) === 0;
  if (!begins) expect(Date.parse(is.tickedAt) - Date.parse(was.tickedAt)).toBeGreaterThanOrEqual(1000);
}

/** What must hold after each write, whatever the strategy. */
function watchInvariants(world: World): void {
  const rolledBack = new Set<string>();
  world.onWrite = (after, before) => {
    if (after.kind === "Canary" && before !== undefined) checkStatus(after as Canary, before as Canary);
    if (after.kind === "VirtualService") {
      const route = after as VirtualService;
      for (const { route: arms = [] } of route.spec.http ?? []) {
        expect(arms.reduce((sum, { weight = 0 }) => sum + weight, 0)).toBe(100);
      }
      const { [runAnnotation]: run = "{}", [rollbackAnnotation]: mark } = route.metadata.annotations ?? {};
      if (mark !== undefined) rolledBack.add(JSON.parse(mark).run);
      if (shareOf(route) > shareOf(before as VirtualService | undefined)) {
        expect(rolledBack).not.toContain(JSON.parse(run).run);
        expect(world.canary().status?.run?.id).toBe(JSON.parse(run).run);
      }
    }
    if (after.kind === "Deployment" && after.metadata.name === "shop-primary" && before !== undefined) {
      if (imageOf(after) !== imageOf(before)) expect(world.canary().status?.phase).toBe("Promoting");
    }
    if (after.kind === "Deployment" && after.metadata.name === "shop" && before !== undefined) {
      const { provider } = world.canary().spec;
      if ((after as Deployment).spec?.replicas === 0) expect(exposure(world, provider)).toBe(0);
    }
  };
}

function remains(world: World) {
  const snapshot = world.snapshot();
  const { status, spec } = world.canary();
  return {
    phase: status?.phase,
    promoted: status?.lastPromotedSpec,
    applied: status?.lastAppliedSpec,
    exposure: exposure(world, spec.provider),
    mirrored: world.route()?.spec.http?.some(({ mirror }) => mirror !== undefined) ?? false,
    rules: world.route()?.spec.http?.length,
    marked: [world.route(), snapshot.get(ServiceKind, "default", "shop")].some(
      (object) => object?.metadata.annotations?.[runAnnotation] !== undefined,
    ),
    primary: imageOf(snapshot.get(DeploymentKind, "default", "shop-primary")),
    replicas: snapshot.get(DeploymentKind, "default", "shop")?.spec?.replicas,
  };
}

/** Weights, iterations and what the route carries at each change of them, in order. */
async function course(world: World, simulation: Simulation): Promise<string[]> {
  const seen: string[] = [];
  const { provider } = world.canary().spec;
  await simulation.run((state) => {
    const { phase, canaryWeight = 0, iterations = 0 } = world.canary().status ?? {};
    const mirror = world.route()?.spec.http?.find((rule) => rule.mirror)?.mirrorPercentage?.value;
    const line = [
      phase,
      `${canaryWeight}/${iterations}`,
      `users ${exposure(world, provider)}`,
      ...(mirror === undefined ? [] : [`mirror ${mirror}`]),
    ].join(" ");
    if (seen.at(-1) !== line) seen.push(line);
    return ended(state);
  });
  return seen;
}

test("each strategy takes its own course", async () => {
  const courses: Record<string, string[]> = {};
  for (const [name, spec] of Object.entries(strategies)) {
    const world = await released(spec);
    watchInvariants(world);
    courses[name] = await course(world, simulate(world, passing));
  }
  expect(courses).toMatchInlineSnapshot(`
    {
      "A/B testing": [
        "Progressing 0/0 users 0",
        "Progressing 0/1 users 100",
        "Progressing 0/2 users 100",
        "Promoting 0/2 users 100",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
      "blue/green": [
        "Progressing 0/0 users 0",
        "Progressing 0/1 users 0",
        "Progressing 0/2 users 0",
        "Progressing 100/3 users 100",
        "Promoting 100/3 users 100",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
      "blue/green with a mirror": [
        "Progressing 0/0 users 0",
        "Progressing 0/1 users 0 mirror 50",
        "Progressing 0/2 users 0 mirror 50",
        "Progressing 100/3 users 100",
        "Promoting 100/3 users 100",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
      "blue/green without a mesh": [
        "Progressing 0/0 users 0",
        "Progressing 0/1 users 0",
        "Progressing 0/2 users 0",
        "Progressing 100/3 users 100",
        "Promoting 100/3 users 100",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
      "no analysis": [
        "Progressing 0/0 users 0",
        "Promoting 0/0 users 0",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
      "promotion by steps": [
        "Progressing 0/0 users 0",
        "Progressing 50/0 users 50",
        "Promoting 50/0 users 50",
        "Promoting 30/0 users 30",
        "Promoting 10/0 users 10",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
      "session affinity": [
        "Progressing 0/0 users 0",
        "Progressing 20/0 users 100",
        "Progressing 60/0 users 100",
        "Promoting 60/0 users 100",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
      "weights of some requests": [
        "Progressing 0/0 users 0",
        "Progressing 20/0 users 20",
        "Progressing 60/0 users 60",
        "Promoting 60/0 users 60",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
      "weights with a mirror": [
        "Progressing 0/0 users 0",
        "Progressing 0/1 users 0 mirror 100",
        "Progressing 20/0 users 20",
        "Progressing 60/0 users 60",
        "Promoting 60/0 users 60",
        "Finalising 0/0 users 0",
        "Succeeded 0/0 users 0",
      ],
    }
  `);
});

const ends: Readonly<Record<string, Script>> = {
  promoted: passing,
  "rolled back by checks": {
    check: (state) =>
      "iterations" in state && (state.iterations > 1 || state.canaryWeight > 20) ? "failed" : "passed",
  },
  "rolled back by the guard": {
    check: () => "passed",
    harm: (state) =>
      state.phase === "Progressing" && state.canaryWeight + state.iterations > 0
        ? { by: "trip-wire", reason: "every attempt failed", at: 0 }
        : undefined,
  },
  "taken back while promoting": {
    check: () => "passed",
    harm: (state) => (state.phase === "Promoting" ? { by: "harm", reason: "worse", at: 0 } : undefined),
  },
};

describe.each(Object.entries(strategies))("%s", (_name, spec) => {
  test.each(Object.entries(ends))(
    "killed at any write, a run that is %s ends the same",
    async (_end, script) => {
      const straight = await released(spec);
      watchInvariants(straight);
      const before = straight.writes;
      const simulation = simulate(straight, script);
      await simulation.run(ended);
      for (let settle = 0; settle < 3; settle++) await simulation.turn();
      const expected = remains(straight);
      expect(expected).toMatchObject({ exposure: 0, mirrored: false, marked: false, replicas: 0 });
      // Before a write is after the one before it: nothing else happens between the two.
      for (let point = -1; point < straight.writes - before; point++) {
        const world = await released(spec);
        watchInvariants(world);
        world.killAt(world.writes + Math.max(point, 0), point < 0 ? "before" : "after");
        const killed = simulate(world, script);
        await killed.run(ended);
        for (let settle = 0; settle < 3; settle++) await killed.turn();
        expect(remains(world), `killed after write ${point}`).toEqual(expected);
      }
    },
  );
});

test("A/B testing sends who fits both matches to the canary, and everybody else to the primary", async () => {
  const { analysis } = strategies["A/B testing"] ?? {};
  const made = canary("shop", undefined);
  const service = {
    ...made.spec.service,
    port: 80,
    match: [{ uri: { prefix: "/api" }, headers: { "X-User": { prefix: "in" } } }],
  };
  const world = await released({ analysis: { ...plan, ...analysis }, service });
  const simulation = simulate(world, passing);
  await simulation.run((state) => "iterations" in state && state.iterations === 1);
  expect(world.route()?.spec.http).toMatchObject([
    {
      match: [
        {
          uri: { prefix: "/api" },
          headers: { "X-User": { exact: "insider" } },
          queryParams: { beta: { exact: "1" } },
        },
      ],
      route: [{ weight: 0 }, { weight: 100 }],
    },
    { match: service.match, route: [{ destination: { host: "shop-primary" }, weight: 100 }] },
  ]);
});

test("with session affinity the canary has exactly its weight of users at each step, and its cookie is taken back", async () => {
  const world = await released(strategies["session affinity"] ?? {});
  const simulation = simulate(world, passing);
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 60);
  const { status } = world.canary();
  const [stays, primary, earlier, others] = world.route()?.spec.http ?? [];
  const weights = [stays, primary, earlier, others].map((rule) => rule?.route?.find(isCanary)?.weight);
  // 20 % are there already; half of the other 80 % make it 60 %.
  expect(weights).toEqual([100, 0, 50, 60]);
  const pattern = new RegExp(stays?.match?.[0]?.headers?.Cookie?.regex ?? "");
  const cookie = status?.sessionAffinityCookie ?? "";
  expect(cookie).toMatch(/^v=[a-z]{10}$/);
  expect([cookie, `a=1; ${cookie}; b=2`].every((text) => pattern.test(text))).toBe(true);
  expect([`${cookie}x`, `not${cookie}`, cookie.slice(0, -1)].some((text) => pattern.test(text))).toBe(false);
  expect(others?.route?.map(({ headers }) => headers?.response?.add?.["Set-Cookie"])).toEqual([
    `${status?.primarySessionAffinityCookie}; Max-Age=86400; Path=/`,
    `${cookie}; Max-Age=86400; Path=/`,
  ]);
  await simulation.run(ended);
  const [gone] = world.route()?.spec.http ?? [];
  expect(gone?.route?.[0]?.headers?.response?.add).toEqual({ "Set-Cookie": `${cookie}; Max-Age=-1; Path=/` });
  expect(new RegExp(gone?.match?.[0]?.headers?.Cookie?.regex ?? "").test(cookie)).toBe(true);
  setImage(world, "app:3");
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 20);
  expect(world.canary().status?.sessionAffinityCookie).not.toBe(cookie);
});

test("a step is held for its time, and one with a pause until a person lets it go on", async () => {
  const steps = [{ weight: 10, duration: "20s" }, { weight: 30, pause: true }, { weight: 60 }];
  const world = await released({ analysis: { ...plan, steps } });
  const simulation = simulate(world, passing);
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 10);
  let turns = 0;
  await simulation.run((state) => turns++ >= 0 && "canaryWeight" in state && state.canaryWeight === 30);
  expect(turns).toBeGreaterThanOrEqual(20);
  for (let turn = 0; turn < 10; turn++) await simulation.turn();
  expect(world.canary().status).toMatchObject({ canaryWeight: 30, run: { paused: true } });
  world.edit(CanaryKind, "shop", (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: { "fairlead.dev/action": "resume" } },
  }));
  await simulation.run(ended);
  expect(remains(world)).toMatchObject({ phase: "Succeeded", primary: "app:2" });
});

test("a preview reaches the canary at any weight while the run lives", async () => {
  const preview = [{ headers: { "x-preview": { exact: "yes" } } }];
  const world = await released({ analysis: { ...plan, stepWeights: [10], preview } });
  const simulation = simulate(world, passing);
  const rules = () => world.route()?.spec.http?.map(({ route }) => route?.find(isCanary)?.weight);
  expect(rules()).toEqual([0]);
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 10);
  expect(world.route()?.spec.http?.[0]?.match).toEqual(preview);
  expect(rules()).toEqual([100, 10]);
  await simulation.run(ended);
  expect(rules()).toEqual([0]);
});
