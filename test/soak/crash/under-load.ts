import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeploymentKind, ServiceKind } from "../../../api/core.ts";
import { type Canary, CanaryKind, VirtualServiceKind } from "../../../api/kinds.ts";
import * as manifests from "../../../cli/demo/manifests.ts";
import { readRecord } from "../../../cli/demo/record.ts";
import { apply, until } from "../../../cli/demo/release.ts";
import { install } from "../../../cli/up/install.ts";
import { createLogger } from "../../../lib/log.ts";
import { type LocalKubernetes, startKubernetes } from "../../../local/index.ts";
import { agentCommand } from "../../../mesh/agent/command.ts";
import { canaryBySteps, deployShop } from "../../e2e/support/shop.ts";
import { envoyBinary } from "../../support/envoy.ts";
import { randomFrom } from "../../support/random.ts";
import type { SoakResult } from "../soak.ts";
import { recordHistory } from "./history.ts";
import { brokenInvariants, canaryWeight } from "./invariants.ts";
import type { KillPoint } from "./killing-client.ts";
import { kinds } from "./kinds.ts";
import { type KilledRooms, startKilledRooms } from "./rooms.ts";

export interface UnderLoadOptions {
  readonly say: (line: string) => void;
  readonly seed: number;
  readonly points: number;
}

const rate = 100;
/** Rollouts for a point until one comes to it. */
const tries = 4;
const interval = 1000;
const { namespace } = manifests;

/** A rollout of real pods that is promoted, or aborted at its last weight. */
const outcomes = ["Succeeded", "Failed"] as const;
type Ends = (typeof outcomes)[number];

/**
 * Crash points drawn by `seed`, on real Envoys under load: the whole control plane (mesh, certificate authority, webhooks,
 * controller) is killed at a write of the controller; API server, pods and proxies go on.
 */
export async function sweepUnderLoad({ say, seed, points }: UnderLoadOptions): Promise<SoakResult> {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-crash-"));
  process.env.ENVOY_BIN = envoyBinary;
  const kubernetes = await startKubernetes({
    dataDir: join(folder, "state"),
    logger: createLogger("error"),
    images: new Map([["fairlead/proxy", agentCommand()]]),
  });
  let rooms: KilledRooms | undefined;
  try {
    await install(kubernetes.client);
    rooms = startKilledRooms({ connection: kubernetes.connection, host: kubernetes.host });
    await rooms.ready();
    await kubernetes.informers.watch(...kinds);
    const record = join(folder, "requests.ndjson");
    await deploy(kubernetes, record);
    return await sweep(kubernetes, rooms, record, { say, seed, points });
  } finally {
    await rooms?.close();
    await kubernetes.stopAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function sweep(
  kubernetes: LocalKubernetes,
  rooms: KilledRooms,
  record: string,
  { say, seed, points }: UnderLoadOptions,
): Promise<SoakResult> {
  const random = randomFrom(seed);
  let version = 2;
  const lengths = new Map<Ends, number>();
  for (const ends of outcomes) {
    const straight = await runOne(kubernetes, rooms, String(version++), ends, undefined);
    for (const line of straight.broken) say(`FAILED on Envoys, ${ends}, not killed: ${line}`);
    lengths.set(ends, straight.writes.length);
  }
  let passed = 0;
  let failed = 0;
  for (let drawn = 0; drawn < points; drawn++) {
    const ends = outcomes[Math.floor(random() * outcomes.length)] ?? "Succeeded";
    const write = Math.floor(random() * (lengths.get(ends) ?? 1));
    const kill: KillPoint = { write, when: random() < 0.5 ? "before" : "after" };
    let run = await runOne(kubernetes, rooms, String(version++), ends, kill);
    // A rollout that this time had fewer writes than the first of its kind is made again.
    for (let more = 1; more < tries && !run.killed; more++)
      run = await runOne(kubernetes, rooms, String(version++), ends, kill);
    const { broken, killed, writes, took } = run;
    const words = `on Envoys, ${ends}, killed ${kill.when} write ${write} (${writes[write] ?? "not told any more"})`;
    const failures = failedRequests(record);
    const problems = [
      ...broken,
      ...(killed ? [] : ["it was not reached"]),
      ...(failures > 0 ? [`${failures} requests failed so far`] : []),
    ];
    for (const problem of problems) say(`FAILED ${words}: ${problem}`);
    if (problems.length === 0) {
      passed++;
      say(`${words}: ${(took / 1000).toFixed(1)} s, no request failed`);
    } else failed++;
  }
  say(
    `on Envoys: ${readRecord(record).length} requests at ${rate}/s, ${failedRequests(record)} failed (seed ${seed})`,
  );
  return { passed, failed };
}

async function deploy({ client }: LocalKubernetes, record: string): Promise<void> {
  await deployShop(client, canaryBySteps("1s", [20, 60]));
  await apply(client, manifests.load(rate, record));
  await until("the first requests", 60, async () => (readRecord(record).length > rate ? true : undefined));
}

interface Run {
  readonly broken: readonly string[];
  readonly killed: boolean;
  readonly writes: readonly string[];
  readonly took: number;
}

async function runOne(
  { client, informers }: LocalKubernetes,
  rooms: KilledRooms,
  version: string,
  ends: Ends,
  kill: KillPoint | undefined,
): Promise<Run> {
  await rooms.ready();
  const history = recordHistory(informers, namespace);
  const read = (): Canary | undefined => informers.snapshot().get(CanaryKind, namespace, "shop");
  const before = read()?.status?.history?.[0]?.run;
  rooms.count(kill);
  const began = performance.now();
  await apply(client, manifests.shop(version));
  let aborted = false;
  await until(`version ${version} to end`, 90, async () => {
    const { status } = read() ?? {};
    if (
      ends === "Failed" &&
      !aborted &&
      status?.phase === "Progressing" &&
      (status.canaryWeight ?? 0) >= 60
    ) {
      aborted = true;
      await client.patch(CanaryKind, namespace, "shop", {
        kind: "merge",
        body: { metadata: { annotations: { "fairlead.dev/action": "abort" } } },
      });
    }
    const isNew = status?.history?.[0]?.run !== before;
    const done =
      (status?.phase === "Succeeded" || status?.phase === "Failed") && status.cleanup === undefined;
    const idle = informers.snapshot().get(DeploymentKind, namespace, "shop")?.spec?.replicas === 0;
    return isNew && done && idle ? true : undefined;
  });
  const took = performance.now() - began;
  await rooms.ready();
  history.stop();
  const route = informers.snapshot().get(VirtualServiceKind, namespace, "shop");
  const apex = informers.snapshot().get(ServiceKind, namespace, "shop");
  return {
    broken: [
      ...brokenInvariants(history.versions(), "shop", interval),
      ...(read()?.status?.phase === ends
        ? []
        : [`it ended in ${read()?.status?.phase}: ${read()?.status?.failure?.message}`]),
      ...(canaryWeight(route, "shop") === 0 ? [] : ["the canary has weight at the end"]),
      ...(apex?.spec?.selector?.app === "shop-primary"
        ? []
        : ["the apex Service does not lead to the primary"]),
    ],
    killed: rooms.killed,
    writes: rooms.writes,
    took,
  };
}

function failedRequests(record: string): number {
  return readRecord(record).filter(({ status }) => status < 200 || status >= 400).length;
}
