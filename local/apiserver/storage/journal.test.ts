import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Store } from "./store.ts";

function object(name: string, data: string) {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name,
      namespace: "default",
      uid: name,
      resourceVersion: "",
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    data: { data },
  };
}

test("a journal that has grown is replaced by a snapshot, and nothing is lost", async () => {
  const directory = await mkdtemp(join(tmpdir(), "fairlead-store-"));
  const store = await Store.open(directory);
  const filler = "x".repeat(100_000);
  let version = (await store.put("configmaps", object("fat", ""), "absent")).object.metadata.resourceVersion;
  await store.put("configmaps", object("thin", "kept"), "absent");
  for (let index = 0; index < 200; index++) {
    const entry = await store.put("configmaps", object("fat", `${index}${filler}`), {
      resourceVersion: version,
    });
    version = entry.object.metadata.resourceVersion;
  }
  const thin = store.get("configmaps", "default", "thin")?.object;
  if (thin !== undefined)
    await store.remove("configmaps", thin, { resourceVersion: thin.metadata.resourceVersion });
  await store.close();
  expect((await readdir(directory)).filter((file) => file.startsWith("snapshot"))).toHaveLength(1);
  const again = await Store.open(directory);
  expect(again.get("configmaps", "default", "fat")?.object.data).toEqual({ data: `199${filler}` });
  expect(again.get("configmaps", "default", "thin")).toBeUndefined();
  expect(again.revision).toBeGreaterThan(Number(version));
  await again.close();
  await rm(directory, { recursive: true });
});
