/** A version that fails every request, released behind a shield on real Envoys: nobody notices, and it is taken back. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { measure } from "../../analysis/checks/measure.ts";
import { evaluateQuery } from "../../analysis/promql/evaluate.ts";
import type { SeriesSource } from "../../analysis/promql/value.ts";
import { plainProviders } from "../../analysis/providers/providers.ts";
import type { Provider } from "../../analysis/providers/types.ts";
import { createRecent } from "../../analysis/series/recent.ts";
import { readRunSettings } from "../../analysis/settings.ts";
import { readCanary } from "../../api/canary/read.ts";
import { PodKind } from "../../api/core.ts";
import type { UnreadObject } from "../../api/resource.ts";
import { isObject } from "../../api/schema/prepare.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import { readRecord } from "../../cli/demo/record.ts";
import { apply, readEvents, readCanary as storedCanary, until } from "../../cli/demo/release.ts";
import type { World } from "../../cli/demo/world.ts";
import { envoyMissing } from "../support/envoy.ts";
import { deployShop, untilPhase } from "./support/shop.ts";
import { openWorld } from "./support/world.ts";

describe.skipIf(envoyMissing)(`the shield (${envoyMissing ?? "real Envoys"})`, () => {
  let world: World;
  let record: string;
  let faultFile: string;

  beforeAll(async () => {
    world = await openWorld();
    record = join(world.folder, "requests.ndjson");
    faultFile = join(world.folder, "fault");
    await deployShop(world.client, manifests.canary(true));
    await apply(world.client, manifests.load(100, record));
    await until("the load client's first requests", 60, async () =>
      readRecord(record).length > 50 ? true : undefined,
    );
  });

  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
  });

  /** Releases a version that answers 500 to everything; how the release ended, and what users and the version saw. */
  async function release(version: string) {
    const { client } = world;
    const failures = `${faultFile}${version}.failures`;
    writeFileSync(`${faultFile}${version}`, "1");
    await apply(client, manifests.shop(version, `${faultFile}${version}`));
    await untilPhase(client, ["Progressing"], 60);
    const phase = await untilPhase(client, ["Succeeded", "Failed"], 60);
    const run = (await storedCanary(client))?.status?.failure?.run;
    const failedAttempts = (): number => readFileSync(failures, "utf8").trim().split("\n").length;
    // Proxies tell what they have counted each second.
    const shield = await until("the shield's counts", 30, async () => {
      const { shield: told } = (await storedCanary(client))?.status ?? {};
      if (told === undefined || told.run !== run) return undefined;
      return told.rescued + told.notRescued >= failedAttempts() ? told : undefined;
    });
    const failure = (await storedCanary(client))?.status?.failure;
    return { phase, failure, shield, failedAttempts: failedAttempts() };
  }

  test("every request of a broken version is answered by the primary, and it is rolled back", async () => {
    const ended = await release("2");
    expect(ended.phase).toBe("Failed");
    expect(ended.failure?.reason).toBe("TripWire");
    expect(ended.failedAttempts).toBeGreaterThan(5);
    expect(ended.shield).toMatchObject({ rescued: ended.failedAttempts, notRescued: 0 });
    expect(readRecord(record).filter(({ status }) => status !== 200)).toEqual([]);
    await until("the event", 30, async () => {
      const events = await readEvents(world.client);
      const words = `the primary answered ${ended.shield.rescued} users in the canary's place, 0 met its failure`;
      return events.some(({ message }) => message === words) ? true : undefined;
    });
  });

  test("whoever scrapes the callers' proxies gets the canary's attempts, and the built-in queries find them failed", async () => {
    const { items } = await world.client.list(PodKind, {
      namespace: manifests.namespace,
      labelSelector: "app=load",
    });
    const page = await fetch(`http://${items[0]?.status?.podIP}:15020/stats/prometheus`);
    const canary = manifests.canary(true);
    const { value } = readCanary({
      ...canary,
      spec: { ...specOf(canary), metricsServer: "http://prometheus" },
    });
    if (value === undefined) throw new TypeError("the demo's canary cannot be read");
    const provider = prometheusOf(await page.text());
    const { settings } = readRunSettings(value, {
      providers: { ...plainProviders, prometheus: () => provider },
      template: () => undefined,
      secret: () => Promise.resolve(new Map()),
    });
    const recent = createRecent(60_000, 0);
    const checks = await measure(settings.metrics, recent, Date.now(), new AbortController().signal);
    expect(checks).toMatchObject([
      { name: "request-success-rate", kind: "failed", value: 0 },
      { name: "request-duration", kind: "passed" },
    ]);
  });

  test("by Flagger's rule alone and without a metric it is not promoted either", async () => {
    await apply(world.client, withAnalysis({ guard: "off", metrics: [], threshold: 2 }));
    const ended = await release("3");
    expect(ended.phase).toBe("Failed");
    expect(ended.failure).toMatchObject({ reason: "Threshold", check: "shield" });
    expect(ended.shield.notRescued).toBe(0);
    expect(readRecord(record).filter(({ status }) => status !== 200)).toEqual([]);
  });

  test("where it cannot hold it is refused, with the reason", async () => {
    await expect(apply(world.client, withAnalysis({ sessionAffinity: { cookieName: "a" } }))).rejects.toThrow(
      /spec\.analysis\.shield cannot stand with `sessionAffinity`/,
    );
  });
});

/** A Prometheus that has scraped `page` once, before which all its counters were 0. */
function prometheusOf(page: string): Provider {
  const now = Date.now();
  const series = page.split("\n").flatMap((line) => {
    const [, name = "", labels = "", value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
    if (value === undefined) return [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    const points: [number, number][] = [
      [now - 9000, 0],
      [now, Number(value)],
    ];
    return [{ name, labels: new Map(pairs.map(([, label = "", text = ""]) => [label, text])), points }];
  });
  const source: SeriesSource = {
    kept: 600_000,
    select: (name, wanted) => series.filter((one) => one.name === name && wanted(one.labels)),
  };
  return {
    name: "a prometheus",
    async query(query) {
      const answer = evaluateQuery(query, now, source);
      const value = answer.kind === "vector" ? answer.samples[0]?.value : undefined;
      return value === undefined ? { kind: "no-data", reason: "no series" } : { kind: "value", value };
    },
  };
}

function specOf({ spec }: UnreadObject): Readonly<Record<string, unknown>> {
  if (!isObject(spec)) throw new TypeError("the demo's canary has no spec");
  return spec;
}

/** The demo's shielded Canary with other fields of its analysis. */
function withAnalysis(fields: Readonly<Record<string, unknown>>): UnreadObject {
  const canary = manifests.canary(true);
  const spec = specOf(canary);
  if (!isObject(spec.analysis)) throw new TypeError("the demo's canary has no analysis");
  return { ...canary, spec: { ...spec, analysis: { ...spec.analysis, ...fields } } };
}
