/** What a control plane costs that has nothing to do: `fairlead up` with one application in the mesh. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { World } from "../../cli/demo/world.ts";
import { envoyMissing } from "../support/envoy.ts";
import { network } from "./support/machine.ts";
import { controlPlaneProcesses, processorSeconds, residentBytes } from "./support/processes.ts";
import { deployShop } from "./support/shop.ts";
import { openWorld } from "./support/world.ts";

/** Certificates issued, leases taken, caches filled: what follows a start is over by then. */
const settling = 15_000;
const watched = 20_000;

describe.skipIf(envoyMissing !== undefined)(
  `an idle control plane${envoyMissing ? ` (${envoyMissing})` : ""}`,
  () => {
    let world: World;

    beforeAll(async () => {
      world = await openWorld();
      await deployShop(world.client);
    });
    afterAll(() => world?.stop());

    // Pods in namespaces need a name server, which is a Node process of its own.
    const most = network === "netns" ? 270 : 200;
    test(`takes less than ${most} MB and 2 % of a core`, async () => {
      await sleep(settling);
      const pids = controlPlaneProcesses(join(world.folder, "state"));
      expect(pids).toContain(world.ready.pid);
      const used = () => pids.reduce((sum, pid) => sum + processorSeconds(pid), 0);
      const before = used();
      const began = performance.now();
      await sleep(watched);
      const share = (used() - before) / ((performance.now() - began) / 1000);
      const megabytes = pids.reduce((sum, pid) => sum + residentBytes(pid), 0) / 1e6;
      console.info(
        `${pids.length} process: ${megabytes.toFixed(0)} MB, ${(share * 100).toFixed(2)} % of a core`,
      );
      expect(megabytes).toBeLessThan(most);
      expect(share).toBeLessThan(0.02);
    });
  },
);
