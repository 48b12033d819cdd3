import { afterAll, expect, test } from "vitest";
import { textAt } from "./json.ts";
import { configMap, maps, startTestServer } from "./testing.ts";

const api = await startTestServer();
const stop = new AbortController();

afterAll(async () => {
  stop.abort();
  await api.close();
});

async function take(path: string, count: number) {
  const events = [];
  const own = new AbortController();
  for await (const event of api.watch(path, AbortSignal.any([own.signal, stop.signal]))) {
    events.push(event);
    if (events.length === count) own.abort();
  }
  return events;
}

async function revision(): Promise<string> {
  return textAt((await api.call("GET", maps)).body, "metadata", "resourceVersion") ?? "";
}

test("20 watchers see 500 changes each, in order, none lost", async () => {
  const from = await revision();
  const watchers = Array.from({ length: 20 }, () =>
    take(`${maps}?watch=1&resourceVersion=${from}&labelSelector=storm`, 500),
  );
  for (let batch = 0; batch < 50; batch++) {
    const names = Array.from({ length: 10 }, (_, index) => `storm-${batch * 10 + index}`);
    await Promise.all(
      names.map((name) => api.call("POST", maps, { body: configMap(name, {}, { storm: "1" }) })),
    );
  }
  for (const events of await Promise.all(watchers)) {
    const versions = events.map(({ object }) => Number(textAt(object, "metadata", "resourceVersion")));
    expect(versions).toEqual(versions.toSorted((left, right) => left - right));
    expect(new Set(events.map(({ object }) => textAt(object, "metadata", "name"))).size).toBe(500);
    expect(events.every(({ type }) => type === "ADDED")).toBe(true);
  }
});

test("an object that comes into a selection is ADDED, one that leaves it is DELETED", async () => {
  const seen = take(`${maps}?watch=1&resourceVersion=${await revision()}&labelSelector=in`, 3);
  const patch = (labels: object) =>
    api.call("PATCH", `${maps}/mover`, {
      body: { metadata: { labels } },
      contentType: "application/merge-patch+json",
    });
  await api.call("POST", maps, { body: configMap("mover") });
  await patch({ in: "1" });
  await patch({ in: "2" });
  await patch({ in: null });
  expect((await seen).map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
});

test("a resumed watch gets what it missed", async () => {
  const from = await revision();
  await api.call("POST", maps, { body: configMap("missed") });
  const [event] = await take(`${maps}?watch=1&resourceVersion=${from}`, 1);
  expect(textAt(event?.object, "metadata", "name")).toBe("missed");
});

test("sendInitialEvents ends with a bookmark that says so", async () => {
  const path = `/api/v1/namespaces?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`;
  const events = await take(path, 5);
  expect(events.map(({ type }) => type)).toEqual(["ADDED", "ADDED", "ADDED", "ADDED", "BOOKMARK"]);
  expect(events.at(-1)?.object).toMatchObject({
    kind: "Namespace",
    metadata: { annotations: { "k8s.io/initial-events-end": "true" } },
  });
});

test("a watch ends after timeoutSeconds, with a bookmark where asked", async () => {
  const events = await take(`/api/v1/nodes?watch=1&timeoutSeconds=1&allowWatchBookmarks=true`, 10);
  expect(events.map(({ type }) => type)).toEqual(["BOOKMARK"]);
});
