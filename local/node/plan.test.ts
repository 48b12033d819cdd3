import { expect, test } from "vitest";
import { kubeletBackOff } from "./back-off.ts";
import { type ContainerRecord, newRecord, type PodSpec, type Situation } from "./container.ts";
import { planPod } from "./plan.ts";

const spec: PodSpec = {
  initContainers: [{ name: "init" }, { name: "proxy", restartPolicy: "Always" }],
  containers: [{ name: "a" }, { name: "b" }],
};
const running: Situation = { kind: "running", startedAt: 0 };
const ended = (exitCode: number, finishedAt = 1000): Situation => ({
  kind: "terminated",
  exitCode,
  reason: "Error",
  startedAt: 0,
  finishedAt,
});

function plan(changes: Record<string, Partial<ContainerRecord>>, { now = 1000, policy = "Always" } = {}) {
  const roles = { init: "init", proxy: "sidecar", a: "app", b: "app" } as const;
  const records = Object.entries(roles).map(([name, role]) => {
    const change = changes[name];
    return [name, { ...newRecord(name, role), ...(change && { attempt: 0 }), ...change }] as const;
  });
  const { start, held, outcome } = planPod(
    { ...spec, restartPolicy: policy },
    new Map(records),
    now,
    kubeletBackOff,
  );
  return {
    start: start.map(({ name }) => name),
    held: held.map(({ name, until }) => [name, until]),
    outcome,
  };
}

test("init containers run one after the other; the application waits until the sidecar has started", () => {
  expect(plan({}).start).toEqual(["init"]);
  expect(plan({ init: { situation: running } }).start).toEqual([]);
  const done = { init: { situation: ended(0) } };
  expect(plan(done).start).toEqual(["proxy"]);
  expect(plan({ ...done, proxy: { situation: running } }).start).toEqual([]);
  expect(plan({ ...done, proxy: { situation: running, started: true } }).start).toEqual(["a", "b"]);
});

test("once the application has run, only what ended is started again", () => {
  const before = { init: { situation: ended(0) }, proxy: { situation: running, started: false } };
  expect(plan({ ...before, a: { situation: ended(1) }, b: { situation: running } }).start).toEqual(["a"]);
  const both = { a: { situation: running }, b: { situation: running } };
  expect(plan({ init: { situation: ended(0) }, proxy: { situation: ended(1) }, ...both }).start).toEqual([
    "proxy",
  ]);
});

test("the first restart is immediate, then 10 s doubled up to 5 minutes, forgotten after 10 minutes of running", () => {
  const others = {
    init: { situation: ended(0) },
    proxy: { situation: running, started: true },
    b: { situation: running },
  };
  const a = (fields: Partial<ContainerRecord>, now = 1000) =>
    plan({ ...others, a: { situation: ended(1), ...fields } }, { now });
  expect(a({ attempt: 0 }).start).toEqual(["a"]);
  expect(a({ attempt: 1 }).held).toEqual([["a", 11_000]]);
  expect(a({ attempt: 2, backOff: 10_000 }).held).toEqual([["a", 21_000]]);
  expect(a({ attempt: 9, backOff: 300_000 }).held).toEqual([["a", 301_000]]);
  expect(a({ attempt: 9, backOff: 300_000, stoppedOnPurpose: true }).start).toEqual(["a"]);
  expect(a({ attempt: 9, backOff: 300_000, situation: ended(1, 600_000) }, 600_000).start).toEqual(["a"]);
});

test("restartPolicy decides when a pod is over", () => {
  const began = { init: { situation: ended(0) }, proxy: { situation: running, started: true } };
  const one = { ...began, a: { situation: ended(0) }, b: { situation: ended(1) } };
  expect(plan(one, { policy: "Never" }).outcome).toBe("Failed");
  expect(plan(one, { policy: "OnFailure" })).toMatchObject({ start: ["b"], outcome: undefined });
  expect(plan({ ...one, b: { situation: ended(0) } }, { policy: "OnFailure" }).outcome).toBe("Succeeded");
  expect(plan({ init: { situation: ended(1) } }, { policy: "Never" }).outcome).toBe("Failed");
});
