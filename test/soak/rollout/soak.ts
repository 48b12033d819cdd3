import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CanaryKind } from "../../../api/kinds.ts";
import * as manifests from "../../../cli/demo/manifests.ts";
import { type RequestLine, readRecord } from "../../../cli/demo/record.ts";
import { apply, readCanary, until } from "../../../cli/demo/release.ts";
import type { World } from "../../../cli/demo/world.ts";
import type { Client } from "../../../kube/contract.ts";
import { canaryBySteps, deployShop, untilPhase } from "../../e2e/support/shop.ts";
import { openWorld } from "../../e2e/support/world.ts";
import { numberOption, type Soak } from "../soak.ts";
import { slowShop } from "./shop.ts";

const rate = 500;
/** Milliseconds until an application listens. */
const startDelay = 2000;
const { namespace } = manifests;

/** How one release ends, in turn. */
const endings = ["promoted", "aborted", "broken"] as const;
type Ending = (typeof endings)[number];

export const soak: Soak = {
  explain: `
Releases under load on real sidecars, one after the other: ${rate} requests a second through the client's sidecar, an application
that listens ${startDelay / 1000} s after its start and ends at once on SIGTERM. In turn a version is promoted, is aborted by a person at
its last weight, and breaks at its last weight (all its answers are 500) and is taken back by the guard. Passes where each
release ends so, and where no request has failed but those that the broken version itself answered.

  --requests N    at least so many (200000; CI makes 20000)
`,
  async run({ args, say }) {
    const wanted = numberOption(args, "requests", 200_000);
    const folder = mkdtempSync(join(tmpdir(), "fairlead-rollout-"));
    const world = await openWorld();
    try {
      return await releaseUntil(wanted, world, folder, say);
    } finally {
      await world.stop();
      rmSync(world.folder, { recursive: true, force: true });
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function releaseUntil(wanted: number, { client }: World, folder: string, say: (line: string) => void) {
  const record = join(folder, "requests.ndjson");
  await deployShop(client, canaryBySteps("2s", [20, 60]));
  await apply(client, slowShop("1", { startDelay }));
  await untilPhase(client, ["Succeeded", "Initialized"], 90);
  await apply(client, manifests.load(rate, record));
  await until("the first requests", 60, async () => (readRecord(record).length > rate ? true : undefined));
  const broken = new Set<string>();
  let passed = 0;
  let failed = 0;
  for (let version = 2; version - 2 < endings.length || count(record) < wanted; version++) {
    const ending = endings[(version - 2) % endings.length] ?? "promoted";
    const name = String(version);
    if (ending === "broken") broken.add(name);
    const began = performance.now();
    const problem = await releaseOne(client, name, ending, folder);
    const failures = unexpected(readRecord(record), broken);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    if (problem === undefined && failures.length === 0) {
      passed++;
      say(`version ${name} ${ending} in ${seconds} s: ${count(record)} requests, none failed`);
    } else {
      failed++;
      say(`FAILED version ${name} ${ending}: ${problem ?? ""} ${failures.length} requests failed`);
      for (const line of failures.slice(0, 5)) say(`  ${JSON.stringify(line)}`);
      if (failures.length > 0) break;
    }
  }
  const all = readRecord(record);
  const own = all.length - all.filter(({ version }) => !broken.has(version ?? "")).length;
  say(
    `${all.length} requests at ${rate}/s, ${unexpected(all, broken).length} failed (${own} answers of broken versions not counted)`,
  );
  return { passed, failed };
}

const count = (record: string): number => readRecord(record).length;

/** Failed requests that a broken version has not answered itself. */
function unexpected(lines: readonly RequestLine[], broken: ReadonlySet<string>): readonly RequestLine[] {
  return lines.filter(({ status, version }) => (status < 200 || status >= 400) && !broken.has(version ?? ""));
}

/** @returns what was not as wanted */
async function releaseOne(
  client: Client,
  version: string,
  ending: Ending,
  folder: string,
): Promise<string | undefined> {
  const faultFile = join(folder, `fault-${version}`);
  const before = (await readCanary(client))?.status?.history?.[0]?.run;
  await apply(client, slowShop(version, { startDelay, faultFile }));
  if (ending !== "promoted") {
    await until(`weight 60 of version ${version}`, 60, async () =>
      (await readCanary(client))?.status?.canaryWeight === 60 ? true : undefined,
    );
    if (ending === "broken") writeFileSync(faultFile, "");
    else {
      const annotations = { "fairlead.dev/action": "abort" };
      await client.patch(CanaryKind, namespace, "shop", {
        kind: "merge",
        body: { metadata: { annotations } },
      });
    }
  }
  const status = await until(`the end of version ${version}`, 90, async () => {
    const { status } = (await readCanary(client)) ?? {};
    const isDone = status?.history?.[0]?.run !== before && status?.cleanup === undefined;
    return isDone && (status?.phase === "Succeeded" || status?.phase === "Failed") ? status : undefined;
  });
  const [phase, reason] = {
    promoted: ["Succeeded", undefined],
    aborted: ["Failed", "Aborted"],
    broken: ["Failed", "TripWire"],
  }[ending];
  if (status.phase === phase && status.failure?.reason === reason) return undefined;
  return `it ended in ${status.phase} ${status.failure?.reason}: ${status.failure?.message}`;
}
