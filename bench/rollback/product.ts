/** Faults through the whole product: `fairlead up`, the demo's shop and load client, a Canary as a user writes it. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { UnreadObject } from "../../api/resource.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import { RecordTail, type RequestLine } from "../../cli/demo/record.ts";
import { apply, readCanary, until } from "../../cli/demo/release.ts";
import type { World } from "../../cli/demo/world.ts";
import { type Harm, harmOf, unexplained } from "./figures.ts";

/** Requests a second in all, and the canary's weight at the fault: 50 requests a second on the canary. */
export const load = { rate: 250, weight: 20 } as const;
/** Between two ticks lies room for a fault at any moment, and for all that follows it. */
const interval = 4000;

export interface ProductRun extends Harm {
  /** Failed requests that the fault does not explain. */
  readonly unexplained: number;
}

/** The demo's Canary, with one step to the weight that is measured at. */
function canary(): UnreadObject {
  const demo = manifests.canary();
  return {
    ...demo,
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80, targetPort: 8080, portName: "http" },
      analysis: {
        interval: `${interval / 1000}s`,
        threshold: 5,
        maxWeight: 2 * load.weight,
        stepWeight: load.weight,
        metrics: [
          { name: "request-success-rate", thresholdRange: { min: 99 }, interval: "10s" },
          { name: "request-duration", thresholdRange: { max: 500 }, interval: "10s" },
        ],
      },
    },
  };
}

/** Deploys version 0, its Canary and the load; resolves when requests flow. */
export async function deploy({ client, folder }: World): Promise<RecordTail> {
  await apply(client, manifests.namespaceManifest(), ...["shop", "load"].map(manifests.serviceAccount));
  await apply(client, manifests.shop("0"), canary());
  await until("the Canary to be initialized", 60, () => reached(client, ["Initialized"]));
  const record = join(folder, "requests.ndjson");
  await apply(client, manifests.load(load.rate, record));
  const tail = new RecordTail(record);
  await until("the first requests", 60, () => {
    tail.read();
    return Promise.resolve(tail.counts.requests > load.rate ? true : undefined);
  });
  return tail;
}

/**
 * Releases `version`, lets it answer 500 to everything `delay` milliseconds after it has its weight, and waits for the end.
 *
 * @throws where the version is not rolled back
 */
export async function breakVersion(
  { client, folder }: World,
  tail: RecordTail,
  version: string,
  delay: number,
): Promise<ProductRun> {
  const faultFile = join(folder, "fault");
  rmSync(faultFile, { force: true });
  await apply(client, manifests.shop(version, faultFile));
  await until(`version ${version} to be seen`, 30, () => reached(client, ["Progressing"]));
  await until(`version ${version} to have its weight`, 60, async () => {
    const weight = (await readCanary(client))?.status?.canaryWeight ?? 0;
    return weight >= load.weight ? true : undefined;
  });
  await sleep(delay);
  writeFileSync(faultFile, "1");
  const faultAt = Date.now();
  const phase = await until(`version ${version} to end`, 60, () => reached(client, ["Failed", "Succeeded"]));
  if (phase !== "Failed") throw new Error(`version ${version} was broken and ended as ${phase}`);
  // What is still under way belongs to this fault.
  await sleep(500);
  const lines = readAll(tail);
  const harm = harmOf(lines, version, faultAt);
  if (harm === undefined)
    throw new Error(`version ${version} was rolled back, and no request of it had failed`);
  return { ...harm, unexplained: unexplained(lines, version, faultAt) };
}

/** Everything since the last call. */
function readAll(tail: RecordTail): RequestLine[] {
  const lines: RequestLine[] = [];
  for (let part = tail.read(); part.length > 0; part = tail.read()) lines.push(...part);
  return lines;
}

async function reached(client: World["client"], phases: readonly string[]): Promise<string | undefined> {
  const phase = (await readCanary(client))?.status?.phase ?? "";
  return phases.includes(phase) ? phase : undefined;
}
