/** What is on disk after a process was killed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { objectAt, textAt } from "./json.ts";
import { configMap, maps, startTestServer, widget, widgetDefinition } from "./testing.ts";

/** Runs a server in a process of its own that writes ConfigMaps and prints each name once it is acknowledged. */
const writer = `
import { configMap, maps, startTestServer } from ${JSON.stringify(new URL("./testing.ts", import.meta.url).href)};
const api = await startTestServer({ dataDir: process.argv[1] });
for (let index = 0; ; index += 10) {
  await Promise.all(Array.from({ length: 10 }, async (_, offset) => {
    const name = "written-" + (index + offset);
    const { status } = await api.call("POST", "${maps}", { body: configMap(name) });
    if (status === 201) console.log(name);
  }));
}`;

test("kill -9 in the middle of writes loses no acknowledged write", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "fairlead-apiserver-"));
  const child = spawn(process.execPath, ["--input-type=module", "-e", writer, dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const acknowledged: string[] = [];
  for await (const name of createInterface({ input: child.stdout })) {
    acknowledged.push(name);
    if (acknowledged.length === 500) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  // A torn last line is what a crash in the middle of a write leaves.
  const storage = join(dataDir, "storage");
  const [journal = ""] = (await readdir(storage))
    .filter((file) => file.startsWith("journal"))
    .toSorted()
    .toReversed();
  await appendFile(join(storage, journal), '{"resource":"configmaps","object":{"apiVersion":"v1","ki');
  const start = performance.now();
  const api = await startTestServer({ dataDir });
  expect(performance.now() - start).toBeLessThan(2000);
  const { body } = await api.call("GET", maps);
  const stored = new Set(
    (Array.isArray(body.items) ? body.items : []).map((item) => textAt(item, "metadata", "name")),
  );
  expect(acknowledged.filter((name) => !stored.has(name))).toEqual([]);
  expect(acknowledged.length).toBeGreaterThanOrEqual(500);
  expect((await api.call("POST", maps, { body: configMap("after") })).status).toBe(201);
  await api.close();
  await rm(dataDir, { recursive: true });
}, 30_000);

test("a restarted server has the same objects, kinds, certificates and tokens; an old watch starts again", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "fairlead-apiserver-"));
  const first = await startTestServer({ dataDir });
  await first.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    body: widgetDefinition,
  });
  const made = await first.call("POST", "/apis/example.com/v1/namespaces/default/widgets", {
    body: widget("kept", { size: 3 }),
  });
  await expect
    .poll(async () => (await first.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")).status)
    .toBe(200);
  const { token } = await first.server.issueToken({ namespace: "default", serviceAccount: "default" });
  const { ca } = first.server;
  await first.close();
  const second = await startTestServer({ dataDir });
  expect(second.server.ca).toBe(ca);
  const self = { token, body: {} };
  expect((await second.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", self)).status).toBe(
    201,
  );
  const again = await second.call("GET", "/apis/example.com/v1/namespaces/default/widgets/kept");
  expect(again.body).toEqual(made.body);
  const version = textAt(made.body, "metadata", "resourceVersion");
  expect(
    await second.call("GET", `/apis/example.com/v1/widgets?watch=1&resourceVersion=${version}`),
  ).toMatchObject({ status: 410 });
  const later = await second.call("PATCH", "/apis/example.com/v1/namespaces/default/widgets/kept", {
    body: { spec: { size: 4 } },
    contentType: "application/merge-patch+json",
  });
  expect(Number(objectAt(later.body, "metadata").resourceVersion)).toBeGreaterThan(Number(version));
  for (const file of await readdir(join(dataDir, "pki")))
    expect((await stat(join(dataDir, "pki", file))).mode & 0o777).toBe(0o600);
  await second.close();
  await rm(dataDir, { recursive: true });
});
