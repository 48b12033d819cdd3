import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createClient } from "../../kube/client.ts";
import type { Client } from "../../kube/contract.ts";
import { type Shards, shardOf, startShards } from "../../kube/shards.ts";
import { silent } from "../../lib/log.ts";
import { startTestApiServer, type TestApiServer } from "../../local/testing/api-server.ts";

let server: TestApiServer;
let client: Client;
const running = new Set<Shards>();

beforeAll(async () => {
  server = await startTestApiServer();
  client = createClient(server.connection);
});

afterAll(async () => {
  await Promise.all([...running].map((shards) => shards.release()));
  await client.close();
  await server.close();
});

const keys = Array.from({ length: 200 }, (_, index) => `demo/shop-${index}`);

function start(name: string, shards: number, holder: string, from: Client = client): Shards {
  const started = startShards(from, { namespace: "default", name, shards, holder, logger: silent });
  running.add(started);
  return started;
}

const heldBy = (shards: Shards): readonly string[] => keys.filter((key) => shards.held(key));

test("keys are divided evenly, and always alike", () => {
  const counts = Map.groupBy(keys, (key) => shardOf(key, 4));
  expect([...counts.values()].map(({ length }) => length).every((count) => count > 25)).toBe(true);
  expect(shardOf("demo/shop", 4)).toBe(shardOf("demo/shop", 4));
});

test("two replicas share the keys; of one that is gone the other takes over within 5 s, and gives back", async () => {
  const first = start("pair", 2, "first");
  await vi.waitUntil(() => heldBy(first).length === keys.length, 15_000);
  // A replica that will vanish without a word: its client is closed under it.
  const vanishing = createClient(server.connection);
  const second = start("pair", 2, "second", vanishing);
  await vi.waitUntil(() => heldBy(first).length > 0 && heldBy(second).length > 0, 15_000);
  await vi.waitUntil(() => heldBy(first).length + heldBy(second).length === keys.length, 5000);
  expect(heldBy(first).filter((key) => second.held(key))).toEqual([]);

  await vanishing.close();
  const began = performance.now();
  await vi.waitUntil(() => heldBy(first).length === keys.length, 15_000);
  // It says itself that it holds nothing any more before another may.
  expect(heldBy(second)).toEqual([]);
  const took = performance.now() - began;
  console.info(`taken over in ${(took / 1000).toFixed(1)} s`);
  expect(took).toBeLessThan(7000);

  const third = start("pair", 2, "third");
  await vi.waitUntil(() => heldBy(third).length > 0 && heldBy(first).length > 0, 15_000);
  expect(heldBy(first).filter((key) => third.held(key))).toEqual([]);
});
