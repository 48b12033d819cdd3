/** `fairlead up` and `down` as commands: what stays, what goes, and several beside each other. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigMapKind, PodKind } from "../../api/core.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { createClient } from "../../kube/client.ts";
import type { Client } from "../../kube/contract.ts";
import { loadConnection } from "../../kube/kubeconfig.ts";
import { pod } from "../../local/testing/manifests.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { describeProcesses } from "./support/processes.ts";

const run = promisify(execFile);

describe.skipIf(envoyMissing !== undefined)(`up and down${envoyMissing ? ` (${envoyMissing})` : ""}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-up-"));
  const [one, other] = [join(folder, "one"), join(folder, "other")];

  const fairlead = async (...words: string[]) =>
    (await run(process.execPath, [programFile, ...words])).stdout;
  const up = (dataDir: string) => fairlead("up", "--yes", "--data", dataDir);
  const down = (dataDir: string, ...options: string[]) => fairlead("down", "--data", dataDir, ...options);
  const processOf = (out: string) => Number(/\(process (\d+)/.exec(out)?.[1]);

  async function withClient<T>(dataDir: string, use: (client: Client) => Promise<T>): Promise<T> {
    const client = createClient(await loadConnection({ kubeconfig: join(dataDir, "kubeconfig") }));
    try {
      return await use(client);
    } finally {
      await client.close();
    }
  }
  const kept = (dataDir: string) =>
    withClient(dataDir, (client) => client.get(ConfigMapKind, "default", "kept"));

  afterAll(async () => {
    for (const dataDir of [one, other]) await down(dataDir, "--purge");
    expect(describeProcesses(folder)).toEqual([]);
    rmSync(folder, { recursive: true, force: true });
  });

  test("a second `up` attaches; another folder has a control plane of its own beside it", async () => {
    const first = processOf(await up(one));
    expect(await up(one)).toContain(`fairlead serves already (process ${first})`);
    await withClient(one, (client) =>
      client.create(ConfigMapKind, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { namespace: "default", name: "kept" },
        data: { a: "b" },
      }),
    );
    const second = processOf(await up(other));
    expect(second).not.toBe(first);
    expect(await kept(other)).toBeUndefined();
    expect((await kept(one))?.data).toEqual({ a: "b" });
  });

  test("`down` stops the pods of its folder alone and keeps the objects; the next `up` goes on with them", async () => {
    await withClient(one, async (client) => {
      await client.create(PodKind, pod("worker", `exec sleep 1000 # of ${one}`));
      await until("the pod runs", async () => {
        const worker = await client.get(PodKind, "default", "worker");
        return worker?.status?.phase === "Running";
      });
    });
    expect(await down(one)).toContain("stopped");
    expect(describeProcesses(one)).toEqual([]);
    expect(describeProcesses(other)).not.toEqual([]);
    await up(one);
    expect((await kept(one))?.data).toEqual({ a: "b" });
  });

  test("`down --purge` forgets everything; what is down already may be told so again", async () => {
    expect(await down(one, "--purge")).toContain(`${one} removed`);
    expect(existsSync(one)).toBe(false);
    expect(describeProcesses(one)).toEqual([]);
    expect(await down(one, "--purge")).toBe(`nothing is kept in ${one}\n`);
    await up(one);
    expect(await kept(one)).toBeUndefined();
  });
});
