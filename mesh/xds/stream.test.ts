import { create, fromBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { DeltaDiscoveryResponseSchema } from "../../envoy/generated/envoy/service/discovery/v3/discovery_pb.js";
import { RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import type { Clock } from "../../lib/clock.ts";
import { encodeResource, type Resource, type ResourceType, typeUrls } from "../build/resource.ts";
import { resourceSet } from "../build/resource-set.ts";
import { emptyView, type View } from "../build/view.ts";
import { createNameSets } from "./name-sets.ts";
import type { DeltaRequest } from "./request.ts";
import { createResponses } from "./response.ts";
import { createDeltaStream, type DeltaStream, type Rejection } from "./stream.ts";

/** Any message does as content: a stream passes bytes on unread. */
function resource(type: ResourceType, name: string, content = ""): Resource {
  return encodeResource(type, name, RuntimeSchema, create(RuntimeSchema, { name: content }));
}

function view(resources: readonly Resource[], more: Partial<View> = {}): View {
  const of = (type: ResourceType) => [resourceSet(resources.filter((entry) => entry.type === type))];
  return {
    ...emptyView,
    resources: {
      runtime: of("runtime"),
      cluster: of("cluster"),
      endpoint: of("endpoint"),
      listener: of("listener"),
      route: of("route"),
      secret: [],
    },
    plainRoutes: [resourceSet(resources.filter(({ type }) => type === "route"))],
    ...more,
  };
}

interface Sent {
  readonly type: string;
  readonly nonce: string;
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

const typeOf = (url: string) => Object.entries(typeUrls).find(([, known]) => known === url)?.[0] ?? url;

describe("a delta stream", () => {
  let sent: Sent[];
  let rejections: Rejection[];
  let timers: { at: number; run: () => void }[];
  let now: number;
  let writable: boolean;
  let stream: DeltaStream;

  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(delay, run) {
      const timer = { at: now + delay, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };

  function pass(milliseconds: number): void {
    now += milliseconds;
    const due = timers.filter(({ at }) => at <= now);
    timers = timers.filter(({ at }) => at > now);
    for (const { run } of due) run();
  }

  function connect(first: View): void {
    stream = createDeltaStream(first, {
      responses: createResponses(),
      nameSets: createNameSets(),
      clock,
      isOpen: () => writable,
      write: (bytes) => {
        const { typeUrl, nonce, resources, removedResources } = fromBinary(
          DeltaDiscoveryResponseSchema,
          bytes,
        );
        sent.push({
          type: typeOf(typeUrl),
          nonce,
          changed: resources.map(({ name }) => name),
          removed: removedResources,
        });
      },
      onAcknowledged: () => {},
      onRejected: (rejection) => rejections.push(rejection),
      removalDelay: 1000,
      patience: 5000,
    });
  }

  function ask(type: ResourceType, request: Partial<DeltaRequest> = {}): void {
    const empty = {
      node: undefined,
      typeUrl: "",
      subscribe: [],
      unsubscribe: [],
      held: new Map(),
      nonce: "",
      error: undefined,
    };
    stream.request(type, { ...empty, ...request });
  }

  /** Acknowledges everything sent, as Envoy would, and gives what it was. */
  function acknowledge(): Sent[] {
    const taken: Sent[] = [];
    for (let next = sent.shift(); next !== undefined; next = sent.shift()) {
      taken.push(next);
      ask(next.type as ResourceType, { nonce: next.nonce });
    }
    return taken;
  }

  const small = () => [
    resource("cluster", "a"),
    resource("endpoint", "a"),
    resource("listener", "l"),
    resource("route", "r"),
  ];

  function connectAll(first: View): void {
    connect(first);
    ask("cluster");
    ask("endpoint", { subscribe: ["a"] });
    ask("listener");
    ask("route", { subscribe: ["r"] });
    acknowledge();
  }

  beforeEach(() => {
    sent = [];
    rejections = [];
    timers = [];
    now = 0;
    writable = true;
  });

  test("answers a first request at once, even with nothing", () => {
    connect(view([]));
    ask("cluster");
    ask("runtime", { subscribe: ["fl"] });
    expect(sent).toMatchObject([
      { type: "cluster", changed: [], removed: [] },
      { type: "runtime", changed: [], removed: ["fl"] },
    ]);
  });

  test("sends a reconnecting proxy only what it does not hold", () => {
    const [held, changed] = [resource("cluster", "held"), resource("cluster", "changed", "new")];
    connect(view([held, changed]));
    ask("cluster", {
      held: new Map([
        ["held", held.version],
        ["changed", "old"],
        ["gone", "1"],
      ]),
    });
    expect(sent).toMatchObject([{ changed: ["changed"], removed: [] }]);
  });

  test("a cluster that changed while its proxy was away gets its endpoints, though the proxy holds them", () => {
    const clusters = ["same", "changed"].map((name) => resource("cluster", name, "new"));
    const endpoints = ["same", "changed"].map((name) => resource("endpoint", name));
    connect(view([...clusters, ...endpoints]));
    ask("cluster", {
      held: new Map([
        ["same", clusters[0]?.version ?? ""],
        ["changed", "old"],
      ]),
    });
    sent.length = 0;
    ask("endpoint", {
      subscribe: ["same", "changed"],
      held: new Map(endpoints.map(({ name, version }) => [name, version])),
    });
    expect(sent).toMatchObject([{ type: "endpoint", changed: ["changed"], removed: [] }]);
  });

  test("a reconnecting proxy that asks for no clusters is warming some: it gets their endpoints, and routes once it asks", () => {
    connect(view([...small().slice(0, 3), resource("route", "r", "new")]));
    ask("endpoint", { subscribe: ["a"], held: new Map([["a", resource("endpoint", "a").version]]) });
    ask("route", { subscribe: ["r"], held: new Map([["r", "old"]]) });
    expect(sent).toMatchObject([{ type: "endpoint", changed: ["a"] }]);
    acknowledge();
    ask("cluster", { held: new Map([["a", resource("cluster", "a").version]]) });
    expect(sent).toMatchObject([
      { type: "cluster", changed: [] },
      { type: "route", changed: ["r"] },
    ]);
  });

  test("a reconnecting proxy keeps runtime keys until it has the routes that do not read them", () => {
    connect(view([...small(), resource("runtime", "fl", "no keys")]));
    ask("runtime", { subscribe: ["fl"], held: new Map([["fl", "keys"]]) });
    ask("cluster");
    ask("route", { subscribe: ["r"], held: new Map([["r", "with keys"]]) });
    expect(sent).toMatchObject([{ type: "cluster" }]);
    acknowledge();
    ask("endpoint", { subscribe: ["a"] });
    expect(acknowledge()).toMatchObject([
      { type: "endpoint" },
      { type: "route", changed: ["r"] },
      { type: "runtime", changed: ["fl"] },
    ]);
  });

  test("a new cluster that never warms holds up the routes once", () => {
    connectAll(view(small()));
    const withB = (content: string) =>
      view([
        ...small().slice(0, 3),
        resource("cluster", "b"),
        resource("endpoint", "b"),
        resource("route", "r", content),
      ]);
    stream.publish(withB("1"));
    sent.length = 0;
    pass(5000);
    expect(acknowledge()).toMatchObject([{ type: "route" }]);
    stream.publish(withB("2"));
    expect(sent).toMatchObject([{ type: "route" }]);
  });

  test("what a proxy got ahead of the rest is told again where the view has turned back", () => {
    const [before, after] = ["before", "after"].map((content) => resource("route", "later", content));
    if (before === undefined || after === undefined) throw new Error("no routes");
    connectAll(view([...small(), before]));
    stream.publish(view([...small(), after, resource("cluster", "b"), resource("endpoint", "b")]));
    ask("route", { subscribe: ["later"] });
    expect(sent).toMatchObject([{ type: "cluster" }, { type: "route", changed: ["later"] }]);
    acknowledge();
    stream.publish(view([...small(), before]));
    expect(sent).toMatchObject([{ type: "route", changed: ["later"] }]);
  });

  test("says nothing to who does not ask for what changed", () => {
    connectAll(view(small()));
    stream.publish(view([...small(), resource("route", "other"), resource("endpoint", "other")]));
    expect(sent).toEqual([]);
  });

  test("tells what it holds, wants and lacks of each type", () => {
    connectAll(view(small()));
    const first = stream.stateOf("route");
    expect(first).toMatchObject({ synced: true, held: 1, lacking: [], leftover: [] });
    expect(stream.stateOf("runtime")).toBeUndefined();
    stream.publish(view([...small().slice(0, 3), resource("route", "r", "new"), resource("route", "other")]));
    expect(stream.stateOf("route")).toEqual({ ...first, synced: false, lacking: ["r"] });
    expect(stream.wanted("route")).toMatchObject([{ resource: { name: "r" }, held: false }]);
    acknowledge();
    const second = stream.stateOf("route");
    expect(second).toMatchObject({ synced: true, held: 1, lacking: [] });
    expect(second?.version).not.toBe(first?.version);
    expect(stream.wanted("route")).toMatchObject([{ resource: { name: "r" }, held: true }]);
    stream.publish(view([resource("listener", "l"), resource("route", "r", "new")]));
    expect(stream.stateOf("cluster")).toMatchObject({ synced: true, leftover: ["a"] });
  });

  test("a new cluster and its endpoints are acknowledged before the route changes", () => {
    connectAll(view(small()));
    const next = [...small(), resource("cluster", "b"), resource("endpoint", "b")].filter(
      ({ type }) => type !== "route",
    );
    stream.publish(view([...next, resource("route", "r", "to b")]));
    expect(sent).toMatchObject([{ type: "cluster", changed: ["b"] }]);
    acknowledge();
    expect(sent).toEqual([]);
    ask("endpoint", { subscribe: ["b"] });
    expect(sent).toMatchObject([{ type: "endpoint", changed: ["b"] }]);
    expect(acknowledge()).toMatchObject([{ type: "endpoint" }, { type: "route", changed: ["r"] }]);
  });

  test("a changed cluster gets its endpoints again, as it warms anew and does not ask", () => {
    connectAll(view(small()));
    stream.publish(view([...small().slice(1), resource("cluster", "a", "other")]));
    expect(sent).toMatchObject([
      { type: "cluster", changed: ["a"] },
      { type: "endpoint", changed: ["a"] },
    ]);
  });

  test("a client that never asks for a cluster's endpoints gets its routes after its patience", () => {
    connectAll(view(small()));
    stream.publish(
      view([
        ...small().slice(0, 3),
        resource("cluster", "b"),
        resource("endpoint", "b"),
        resource("route", "r", "to b"),
      ]),
    );
    acknowledge();
    pass(4999);
    expect(sent).toEqual([]);
    pass(1);
    expect(sent).toMatchObject([{ type: "route", changed: ["r"] }]);
  });

  test("what no route uses is removed after the routes are acknowledged and requests had time to end", () => {
    const both = [...small(), resource("cluster", "b"), resource("endpoint", "b")];
    connect(view(both));
    ask("cluster");
    ask("endpoint", { subscribe: ["a", "b"] });
    ask("listener");
    ask("route", { subscribe: ["r"] });
    acknowledge();
    stream.publish(view([...small().slice(0, 3), resource("route", "r", "not to b")]));
    expect(sent).toMatchObject([{ type: "route", changed: ["r"] }]);
    pass(2000);
    expect(sent).toHaveLength(1);
    acknowledge();
    pass(999);
    expect(sent).toEqual([]);
    pass(1);
    expect(sent).toMatchObject([
      { type: "cluster", changed: [], removed: ["b"] },
      { type: "endpoint", changed: [], removed: ["b"] },
    ]);
  });

  test("a cluster that comes back before its removal is never removed", () => {
    const both = [...small(), resource("cluster", "b"), resource("endpoint", "b")];
    connectAll(view(both));
    stream.publish(view(small()));
    acknowledge();
    stream.publish(view(both));
    acknowledge();
    pass(10_000);
    expect(sent.flatMap(({ removed }) => removed)).toEqual([]);
  });

  test("a slow proxy has two answers of a type under way and then gets the newest alone", () => {
    connectAll(view(small()));
    for (const content of ["1", "2", "3", "4"])
      stream.publish(view([...small().slice(0, 3), resource("route", "r", content)]));
    expect(sent).toHaveLength(2);
    const newest = resource("route", "r", "4");
    acknowledge();
    expect(stream.holds("route")).toBe(true);
    stream.publish(view([...small().slice(0, 3), newest]));
    expect(sent).toEqual([]);
  });

  test("a stuck transport gets nothing until it drains, then the newest alone", () => {
    connectAll(view(small()));
    writable = false;
    stream.publish(view([...small().slice(0, 3), resource("route", "r", "1")]));
    stream.publish(view([...small().slice(0, 3), resource("route", "r", "2")]));
    stream.publish(view([...small().slice(0, 3), resource("route", "r", "3")]));
    expect(sent).toHaveLength(0);
    writable = true;
    stream.drained();
    expect(sent).toHaveLength(1);
    acknowledge();
    expect(stream.holds("route")).toBe(true);
  });

  test("a refusal is told with Envoy's words, and the proxy does not count as holding it", () => {
    connectAll(view(small()));
    stream.publish(view([...small().slice(0, 3), resource("route", "r", "bad")]));
    const [answer] = sent.splice(0);
    ask("route", { nonce: answer?.nonce ?? "", error: "no such thing" });
    expect(rejections).toMatchObject([{ type: "route", error: "no such thing", resources: [{ name: "r" }] }]);
    expect(stream.holds("route")).toBe(false);
  });

  test("who reads the runtime layer gets the safe table, once the keys are there; anybody else the real weights", () => {
    const safe = [...small().slice(0, 3), resource("route", "r", "safe"), resource("runtime", "fl", "20")];
    const plainRoutes = [resourceSet([resource("route", "r", "real")])];
    const live = view(safe, { plainRoutes, runtimeKeys: new Set(["key"]) });
    connect(view([...small(), resource("runtime", "fl", "")]));
    ask("runtime", { subscribe: ["fl"] });
    ask("route", { subscribe: ["r"] });
    acknowledge();
    stream.publish(live);
    expect(sent).toMatchObject([{ type: "runtime", changed: ["fl"] }]);
    expect(acknowledge()).toMatchObject([{ type: "runtime" }, { type: "route" }]);
    expect(stream.lacks("route")).toEqual([]);

    connect(live);
    ask("route", { subscribe: ["r"] });
    const [plain] = sent;
    connect(live);
    sent = [];
    ask("runtime", { subscribe: ["fl"] });
    ask("route", { subscribe: ["r"] });
    expect(sent[1]?.nonce).not.toBe(plain?.nonce);
    ask("runtime", { nonce: sent[0]?.nonce ?? "", error: "refused" });
    ask("route", { nonce: sent[1]?.nonce ?? "" });
    expect(sent[2]?.nonce).toBe(plain?.nonce);
  });
});
