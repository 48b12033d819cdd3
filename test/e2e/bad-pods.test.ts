/** Canaries whose pods crash, and one that turns bad while it is being promoted: on real sidecars, under load. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeploymentKind, type Pod, PodKind, ServiceKind } from "../../api/core.ts";
import { CanaryKind, DestinationRuleKind, VirtualServiceKind } from "../../api/kinds.ts";
import type { Kind } from "../../api/resource.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import { readRecord } from "../../cli/demo/record.ts";
import { apply, readCanary, until } from "../../cli/demo/release.ts";
import type { World } from "../../cli/demo/world.ts";
import { createInformers } from "../../kube/informer.ts";
import { silent } from "../../lib/log.ts";
import { slowShop } from "../soak/rollout/shop.ts";
import { envoyMissing } from "../support/envoy.ts";
import { canaryBySteps, deployShop, untilPhase } from "./support/shop.ts";
import { openWorld } from "./support/world.ts";

const { namespace } = manifests;
const missing = envoyMissing;

describe.skipIf(missing !== undefined)(`bad pods${missing ? ` (${missing})` : ""}`, () => {
  let world: World;
  let folder: string;
  let record: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-bad-"));
    record = join(folder, "requests.ndjson");
    world = await openWorld();
    await deployShop(world.client, canaryBySteps("1s", [30]));
    await apply(world.client, manifests.load(100, record));
    await until("requests", 60, async () => (readRecord(record).length > 100 ? true : undefined));
  });

  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  });

  test("a canary whose pods crash is taken back within 2 s of the first failure, before it gets a request", async () => {
    const { client } = world;
    const informers = createInformers(client, silent);
    await informers.watch(PodKind);
    let failedAt: number | undefined;
    const stop = informers.onChange(PodKind, ({ object }) => {
      if (failedAt === undefined && hasCrashed(object)) failedAt = performance.now();
    });
    await apply(client, slowShop("2", { startDelay: 0, crashes: true }));
    await until("the rollback", 60, async () =>
      (await readCanary(client))?.status?.failure?.reason === "PodFailure" ? true : undefined,
    );
    const took = performance.now() - (failedAt ?? Number.NaN);
    stop();
    informers.close();
    console.info(`first failure of a pod to the rollback: ${(took / 1000).toFixed(2)} s`);
    expect(took).toBeLessThan(2000);
    expect((await readCanary(client))?.status?.failure?.message).toMatch(/container shop CrashLoopBackOff/);
    expect(readRecord(record).filter(({ status }) => status !== 200)).toEqual([]);
  });

  test("a canary that fails while it is promoted: the old template serves again, and no request reaches a half-new primary", async () => {
    const { client } = world;
    const faultFile = join(folder, "fault");
    const before = await primaryTemplate();
    await apply(client, slowShop("3", { startDelay: 5000, faultFile, namesPods: true }));
    await untilPhase(client, ["Promoting"], 90);
    writeFileSync(faultFile, "");
    const fault = performance.timeOrigin + performance.now();
    await untilPhase(client, ["Failed"], 60);
    const status = (await readCanary(client))?.status;
    expect(["TripWire", "Harm"]).toContain(status?.failure?.reason);
    await until("the former template", 30, async () =>
      JSON.stringify(await primaryTemplate()) === JSON.stringify(before) ? true : undefined,
    );
    await until("two seconds without version 3", 30, async () => {
      const last = Math.max(...answers("3").map(({ end }) => end));
      return performance.timeOrigin + performance.now() - last > 2000 ? true : undefined;
    });
    const failed = readRecord(record).filter(({ status }) => status !== 200);
    const last = Math.max(...failed.map(({ end }) => end));
    console.info(`${failed.length} failed, the last ${((last - fault) / 1000).toFixed(2)} s after the fault`);
    // The canary's own share before the verdict, and nothing else.
    expect(failed.filter(({ version }) => !/^3@shop-(?!primary)/.test(version ?? ""))).toEqual([]);
    expect(last - fault).toBeLessThan(4000);
  });

  test("what is deleted in the middle of a run is made again, route or Service, and no request fails", async () => {
    const { client } = world;
    await apply(client, slowShop("4", { startDelay: 0 }));
    await until("the canary has its share", 60, async () =>
      (await readCanary(client))?.status?.canaryWeight === 30 ? true : undefined,
    );
    await pause("true");
    const from = (start: number) => readRecord(record).filter((line) => line.end > start);
    for (const [kind, name] of [
      [VirtualServiceKind, "shop"],
      [DestinationRuleKind, "shop-canary"],
      [ServiceKind, "shop-canary"],
      [ServiceKind, "shop-primary"],
      [ServiceKind, "shop"],
    ] as readonly (readonly [Kind, string])[]) {
      const { metadata } = (await client.get(kind, namespace, name)) ?? {};
      const deleted = performance.timeOrigin + performance.now();
      await client.delete(kind, namespace, name);
      await until(`${kind.kind} ${name} is there again`, 10, async () => {
        const again = await client.get(kind, namespace, name);
        return again !== undefined && again.metadata.uid !== metadata?.uid ? true : undefined;
      });
      await until("a second of requests and more", 30, async () =>
        from(deleted).length > 150 ? true : undefined,
      );
      const since = from(deleted);
      expect(
        since.filter(({ status }) => status !== 200),
        `${kind.kind} ${name}`,
      ).toEqual([]);
      expect(since.some(({ version }) => version === "4")).toBe(true);
      expect(since.some(({ version }) => version !== "4")).toBe(true);
    }
    await pause(null);
    await untilPhase(client, ["Succeeded"], 60);
  });

  async function pause(paused: string | null): Promise<void> {
    const body = { metadata: { annotations: { "fairlead.dev/paused": paused } } };
    await world.client.patch(CanaryKind, namespace, "shop", { kind: "merge", body });
  }

  const answers = (version: string) =>
    readRecord(record).filter((line) => line.version?.startsWith(`${version}@`) === true);

  /** Without the annotation that every promotion sets anew. */
  async function primaryTemplate() {
    const primary = await world.client.get(DeploymentKind, namespace, "shop-primary");
    return primary?.spec?.template.spec;
  }
});

function hasCrashed({ metadata, status }: Pod): boolean {
  if (!metadata.name.startsWith("shop-") || metadata.name.startsWith("shop-primary")) return false;
  return (status?.containerStatuses ?? []).some(
    ({ name, state, lastState }) =>
      name === "shop" && (state?.terminated?.exitCode ?? lastState?.terminated?.exitCode ?? 0) !== 0,
  );
}
