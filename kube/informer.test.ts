import { afterEach, beforeEach, expect, test } from "vitest";
import { NamespaceKind, type Pod, PodKind, ReplicaSetKind } from "../api/core.ts";
import { systemClock } from "../lib/clock.ts";
import { silent } from "../lib/log.ts";
import { createClient } from "./client.ts";
import type { Change, Client, Informers } from "./contract.ts";
import { createInformers } from "./informer.ts";
import type { WatchTiming } from "./reflector.ts";
import { type FaultyApi, refuse, startFaultyApi } from "./testing/faulty-api.ts";

const pods = "/api/v1/namespaces/demo/pods";
const quick: WatchTiming = { watch: 20_000, spread: 0, grace: 3_000, retry: 20, maxRetry: 100 };

let api: FaultyApi;
let client: Client;
let informers: Informers;

beforeEach(async () => {
  api = await startFaultyApi();
  client = createClient({ url: api.url });
  informers = createInformers(client, silent, systemClock, quick);
});

afterEach(async () => {
  informers.close();
  await client.close();
  await api.close();
});

function names(): readonly string[] {
  return informers
    .snapshot()
    .list(PodKind)
    .map(({ metadata }) => metadata.name);
}

function record(): string[] {
  const seen: string[] = [];
  informers.onChange(PodKind, ({ kind, object }) => seen.push(`${kind} ${object.metadata.name}`));
  return seen;
}

const lists = () =>
  api.requests.filter(({ path, query }) => path === "/api/v1/pods" && !query.has("watch")).length;

test("shows what is there, then each change, in the order of namespace and name", async () => {
  api.put(pods, { metadata: { name: "b" } });
  await informers.watch(PodKind, NamespaceKind);
  expect(names()).toEqual(["b"]);
  const seen = record();
  api.put("/api/v1/namespaces/aaa/pods", { metadata: { name: "z" } });
  api.put(pods, { metadata: { name: "a" } });
  api.put(pods, { metadata: { name: "b", labels: { app: "shop" } } });
  api.remove(pods, "a");
  await expect.poll(() => seen).toEqual(["added z", "added a", "modified b", "deleted a"]);
  expect(names()).toEqual(["z", "b"]);
  expect(
    informers
      .snapshot()
      .list(PodKind, "demo")
      .map(({ metadata }) => metadata.name),
  ).toEqual(["b"]);
  expect(informers.snapshot().get(PodKind, "demo", "b")?.metadata.labels).toEqual({ app: "shop" });
  expect(informers.snapshot().get(PodKind, "aaa", "b")).toBeUndefined();
});

test("a snapshot never changes, and what did not change is the same array", async () => {
  api.put(pods, { metadata: { name: "a" } });
  api.put("/api/v1/namespaces", { metadata: { name: "demo" } });
  await informers.watch(PodKind, NamespaceKind);
  const before = informers.snapshot();
  const podsBefore = before.list(PodKind);
  api.put(pods, { metadata: { name: "b" } });
  await expect.poll(names).toEqual(["a", "b"]);
  expect(before.list(PodKind)).toBe(podsBefore);
  expect(before.get(PodKind, "demo", "b")).toBeUndefined();
  expect(informers.snapshot().list(NamespaceKind)).toBe(before.list(NamespaceKind));
  expect(informers.snapshot()).toBe(informers.snapshot());
});

test("finds objects by the uid of their controller, also after it changed", async () => {
  const owner = (uid: string, controller: boolean) => ({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    name: "r",
    uid,
    controller,
  });
  api.put(pods, { metadata: { name: "a", ownerReferences: [owner("1", true)] } });
  api.put(pods, { metadata: { name: "b", ownerReferences: [owner("1", false)] } });
  await informers.watch(PodKind, ReplicaSetKind);
  const owned = (uid: string) =>
    informers
      .snapshot()
      .ownedBy(PodKind, uid)
      .map(({ metadata }) => metadata.name);
  expect(owned("1")).toEqual(["a"]);
  api.put(pods, { metadata: { name: "a", ownerReferences: [owner("2", true)] } });
  await expect.poll(() => owned("2")).toEqual(["a"]);
  expect(owned("1")).toEqual([]);
  api.remove(pods, "a");
  await expect.poll(() => owned("2")).toEqual([]);
});

test.for([false, true])("resumes where a watch ended (cut: %s), without a new list", async (cut) => {
  await informers.watch(PodKind);
  const seen = record();
  for (const name of ["a", "b", "c"]) {
    await expect.poll(() => api.openWatches()).toBe(1);
    api.endWatches(cut);
    api.put(pods, { metadata: { name } });
    await expect.poll(names).toContain(name);
  }
  expect(seen).toEqual(["added a", "added b", "added c"]);
  expect(lists()).toBe(1);
});

test("after 410 it lists once, and tells only what differs", async () => {
  api.put(pods, { metadata: { name: "gone" } });
  api.put(pods, { metadata: { name: "same" } });
  await informers.watch(PodKind);
  await expect.poll(() => api.openWatches()).toBe(1);
  const seen = record();
  const block = api.fault(({ query }, response) => query.has("watch") && !response.destroy().writable);
  api.endWatches(true);
  api.remove(pods, "gone");
  api.put(pods, { metadata: { name: "new" } });
  api.compact();
  block();
  await expect.poll(names).toEqual(["new", "same"]);
  expect(seen).toEqual(["deleted gone", "added new"]);
  expect(lists()).toBe(2);
});

test("a 410 within the stream is a 410", async () => {
  await informers.watch(PodKind);
  await expect.poll(() => api.openWatches()).toBe(1);
  api.say(
    JSON.stringify({
      type: "ERROR",
      object: { kind: "Status", code: 410, reason: "Expired", message: "too old" },
    }),
  );
  await expect.poll(lists).toBe(2);
  api.put(pods, { metadata: { name: "a" } });
  await expect.poll(names).toEqual(["a"]);
  expect(lists()).toBe(2);
});

test("a garbage line costs a reconnect and no change", async () => {
  await informers.watch(PodKind);
  await expect.poll(() => api.openWatches()).toBe(1);
  const seen = record();
  api.say('{"type":"ADDED","object":{"metadata":{"na');
  api.put(pods, { metadata: { name: "a" } });
  await expect.poll(names).toEqual(["a"]);
  expect(seen).toEqual(["added a"]);
  expect(lists()).toBe(1);
});

test("an event that comes again is not told again, and brings no deleted object back", async () => {
  const first = api.put(pods, { metadata: { name: "a" } });
  await informers.watch(PodKind);
  await expect.poll(() => api.openWatches()).toBe(1);
  const seen = record();
  api.say(JSON.stringify({ type: "ADDED", object: first }));
  api.remove(pods, "a");
  api.say(JSON.stringify({ type: "MODIFIED", object: first }));
  api.put(pods, { metadata: { name: "end" } });
  await expect.poll(names).toEqual(["end"]);
  expect(seen).toEqual(["deleted a", "added end"]);
});

test("a bookmark moves the place to resume from", async () => {
  await informers.watch(PodKind);
  await expect.poll(() => api.openWatches()).toBe(1);
  api.say(
    JSON.stringify({ type: "BOOKMARK", object: { kind: "Pod", metadata: { resourceVersion: "4711" } } }),
  );
  api.endWatches();
  const last = () => api.requests.at(-1)?.query.get("resourceVersion");
  await expect.poll(last).toBe("4711");
});

test("a watch that falls silent is left and resumed", async () => {
  const impatient = createInformers(client, silent, systemClock, { ...quick, watch: 100, grace: 100 });
  const silence = api.fault(({ query }, response) => {
    if (!query.has("watch")) return false;
    response.writeHead(200).flushHeaders();
    return true;
  });
  await impatient.watch(PodKind);
  await expect.poll(() => api.requests.length).toBeGreaterThan(1);
  api.put(pods, { metadata: { name: "a" } });
  silence();
  await expect.poll(() => impatient.snapshot().list(PodKind)).toHaveLength(1);
  impatient.close();
  expect(lists()).toBe(1);
});

test("a server that is away is asked again, and not in a tight loop", async () => {
  const away = api.fault((_, response) => {
    refuse(response, 500, "InternalError", "etcdserver: request timed out");
    return true;
  });
  const ready = informers.watch(PodKind);
  await expect.poll(() => api.requests.length).toBeGreaterThanOrEqual(3);
  api.put(pods, { metadata: { name: "a" } });
  away();
  await ready;
  expect(names()).toEqual(["a"]);
  expect(api.requests.length).toBeLessThan(20);
});

test("a kind that the server does not know yet is empty, and appears later", async () => {
  const unknown = api.fault(({ path }, response) => {
    if (path !== "/api/v1/pods") return false;
    refuse(response, 404, "NotFound", "the server could not find the requested resource");
    return true;
  });
  await informers.watch(PodKind);
  expect(names()).toEqual([]);
  unknown();
  api.put(pods, { metadata: { name: "a" } });
  await expect.poll(names).toEqual(["a"]);
});

test("a handler that throws, at once or later, stops nobody", async () => {
  await informers.watch(PodKind);
  const seen: Change<Pod>[] = [];
  informers.onChange(PodKind, () => {
    throw new Error("boom");
  });
  informers.onChange(PodKind, async () => {
    await Promise.reject(new Error("later"));
  });
  const remove = informers.onChange(PodKind, (change) => seen.push(change));
  api.put(pods, { metadata: { name: "a" } });
  await expect.poll(() => seen.length).toBe(1);
  remove();
  api.put(pods, { metadata: { name: "b" } });
  await expect.poll(names).toEqual(["a", "b"]);
  expect(seen).toHaveLength(1);
});

test("of 5,000 objects each change is told once, with its object in the snapshot", async () => {
  for (let index = 0; index < 5_000; index++) api.put(pods, { metadata: { name: `p${index}` } });
  await informers.watch(PodKind);
  await expect.poll(() => api.openWatches()).toBe(1);
  let changes = 0;
  informers.onChange(PodKind, ({ object }) => {
    expect(informers.snapshot().get(PodKind, "demo", object.metadata.name)).toBe(object);
    changes++;
  });
  for (let index = 0; index < 1_000; index++)
    api.put(pods, { metadata: { name: `p${index}`, labels: { round: "2" } } });
  await expect.poll(() => changes, { timeout: 20_000 }).toBe(1_000);
});
