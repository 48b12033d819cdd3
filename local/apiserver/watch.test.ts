import { connect } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { textAt } from "./json.ts";
import { configMap, startTestServer, type TestServer } from "./testing.ts";

let api: TestServer;
const maps = "/api/v1/namespaces/default/configmaps";
const stop = new AbortController();

beforeAll(async () => {
  api = await startTestServer();
});
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

test("a resumed watch gets what it missed; one from too long ago gets 410", async () => {
  const from = await revision();
  await api.call("POST", maps, { body: configMap("missed") });
  const [event] = await take(`${maps}?watch=1&resourceVersion=${from}`, 1);
  expect(textAt(event?.object, "metadata", "name")).toBe("missed");
  // A history of 4,096 changes and a quarter more is kept at most.
  for (let batch = 0; batch < 52; batch++) {
    const writes = Array.from({ length: 100 }, (_, index) =>
      api.call("POST", maps, { body: configMap(`fill-${batch}-${index}`) }),
    );
    expect((await Promise.all(writes)).every(({ status }) => status === 201)).toBe(true);
  }
  expect(await api.call("GET", `${maps}?watch=1&resourceVersion=${from}`)).toMatchObject({
    status: 410,
    body: { reason: "Expired" },
  });
}, 60_000);

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

test("a client that does not read is cut off, and is not buffered for", async () => {
  const { url, ca, admin } = api.server;
  const { hostname, port } = new URL(url);
  const socket = connect({
    host: hostname,
    port: Number(port),
    ca,
    cert: admin.certificate,
    key: admin.key,
    servername: "localhost",
  });
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  socket.write(`GET ${maps}?watch=1&resourceVersion=${await revision()} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  const before = held();
  const filler = "x".repeat(200_000);
  await api.call("POST", maps, { body: configMap("fat") });
  for (let index = 0; index < 300; index++) {
    const { status } = await api.call("PATCH", `${maps}/fat`, {
      body: { data: { filler: `${index}${filler}` } },
      contentType: "application/merge-patch+json",
    });
    expect(status).toBe(200);
  }
  // 60 MB went by; the history holds 16 MiB of them and the client's socket a few.
  expect(held() - before).toBeLessThan(80_000_000);
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString("latin1")).slice(-4000);
  });
  socket.resume();
  await expect.poll(() => text.includes('"code":410'), { timeout: 5000 }).toBe(true);
  socket.destroy();
}, 60_000);

/** Bytes that are still referenced, garbage left out. */
function held(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
