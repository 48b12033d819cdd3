import { afterEach, beforeEach, expect, test } from "vitest";
import { LeaseKind } from "../api/core.ts";
import { silent } from "../lib/log.ts";
import { createClient } from "./client.ts";
import type { Client } from "./contract.ts";
import { type Lease, type LeaseOptions, startLease } from "./lease.ts";
import { type FaultyApi, startFaultyApi } from "./testing/faulty-api.ts";

/** A fifth of the real times, so that the tests are quick. */
const timing = { duration: 800, renew: 200, hold: 600 };

let api: FaultyApi;
let client: Client;
let leases: Lease[];

beforeEach(async () => {
  api = await startFaultyApi();
  client = createClient({ url: api.url });
  leases = [];
});

afterEach(async () => {
  await Promise.all(leases.map((lease) => lease.release()));
  await client.close();
  await api.close();
});

function join(holder: string, options: Partial<LeaseOptions> = {}): Lease {
  const lease = startLease(client, {
    namespace: "fairlead",
    name: "controller-0",
    holder,
    logger: silent,
    timing,
    ...options,
  });
  leases.push(lease);
  return lease;
}

test("one of several holds it, and keeps it", async () => {
  const candidates = ["a", "b", "c"].map((holder) => join(holder));
  const holders = () => candidates.filter((lease) => lease.held());
  await expect.poll(() => holders().length).toBe(1);
  const [first] = holders();
  const started = performance.now();
  await expect
    .poll(
      () => {
        expect(holders()).toEqual([first]);
        return performance.now() - started;
      },
      { interval: 20, timeout: 5_000 },
    )
    .toBeGreaterThan(timing.duration * 1.5);
  expect(first?.epoch()).toBe(1);
});

test("giving it up hands it over at the next look, under a new epoch", async () => {
  const a = join("a");
  await expect.poll(() => a.held()).toBe(true);
  const b = join("b");
  const released = performance.now();
  await a.release();
  expect(a.held()).toBe(false);
  await expect.poll(() => b.held(), { interval: 10 }).toBe(true);
  expect(performance.now() - released).toBeLessThan(timing.duration);
  expect(b.epoch()).toBe(2);
});

test("a holder cut off from the server says so before another can take it", async () => {
  const changes: boolean[] = [];
  const a = join("a", { onChange: (held) => changes.push(held) });
  await expect.poll(() => a.held()).toBe(true);
  // The requests of `a` hang, as behind a network that drops packets.
  api.fault(({ body, method }) => method === "PUT" && JSON.stringify(body).includes('"a"'));
  const b = join("b");
  let both = false;
  await expect
    .poll(
      () => {
        both ||= a.held() && b.held();
        return b.held();
      },
      { interval: 5, timeout: 5_000 },
    )
    .toBe(true);
  expect(both).toBe(false);
  expect(changes).toEqual([true, false]);
  expect(b.epoch()).toBe(2);
});

test("wrong clocks of others do not matter: what counts is when a change was seen", async () => {
  const old = "2001-01-01T00:00:00.000000Z";
  const spec = {
    holderIdentity: "other",
    leaseDurationSeconds: 4,
    leaseTransitions: 7,
    renewTime: old,
    acquireTime: old,
  };
  const stored = await client.create(LeaseKind, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { namespace: "fairlead", name: "controller-0" },
    spec,
  });
  const a = join("a");
  const started = performance.now();
  await expect.poll(() => a.held(), { interval: 10, timeout: 3_000 }).toBe(true);
  expect(performance.now() - started).toBeGreaterThanOrEqual(timing.duration - 50);
  expect(a.epoch()).toBe(8);
  expect((await client.get(LeaseKind, "fairlead", "controller-0"))?.metadata.uid).toBe(stored.metadata.uid);
});

test("a lease deleted by hand goes on under a higher epoch", async () => {
  const a = join("a");
  await expect.poll(() => a.epoch()).toBe(1);
  await client.delete(LeaseKind, "fairlead", "controller-0");
  await expect.poll(() => a.epoch()).toBe(2);
});

test("the lease of a holder that is known to be gone is taken at once", async () => {
  const a = join("a");
  await expect.poll(() => a.held()).toBe(true);
  // It stops without giving it up, as a killed process does.
  const revive = api.fault(({ method, body }) => method === "PUT" && JSON.stringify(body).includes('"a"'));
  const started = performance.now();
  const b = join("b", { isGone: (holder) => holder === "a" });
  await expect.poll(() => b.held(), { interval: 5 }).toBe(true);
  expect(performance.now() - started).toBeLessThan(timing.duration);
  expect(b.epoch()).toBe(2);
  revive();
});

test("what keeps a lease from being renewed is logged once, and its end too", async () => {
  const lines: string[] = [];
  const record = (_fields: object, message: string) => void lines.push(message);
  const logger = Object.assign(Object.create(silent) as typeof silent, { warn: record, info: record });
  const a = join("a", { logger });
  await expect.poll(() => a.held()).toBe(true);
  let refused = 0;
  const heal = api.fault(({ method }, response) => {
    if (method !== "PUT") return false;
    refused++;
    response.writeHead(500, { "content-type": "application/json" });
    response.end(
      JSON.stringify({
        kind: "Status",
        status: "Failure",
        code: 500,
        reason: "InternalError",
        message: "no space",
      }),
    );
    return true;
  });
  await expect.poll(() => refused, { timeout: 5000 }).toBeGreaterThanOrEqual(3);
  heal();
  await expect.poll(() => a.held(), { timeout: 5000 }).toBe(true);
  await expect.poll(() => lines).toHaveLength(2);
  expect(lines).toEqual([
    "cannot renew the lease, trying each second",
    "the lease can be read and written again",
  ]);
});
