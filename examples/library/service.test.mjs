// A test of one's own manifests on a Kubernetes that lives as long as the test: `node --test service.test.mjs`.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DeploymentKind, PodKind, startKubernetes } from "fairlead/local";

let folder;
let kubernetes;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "my-test-"));
  kubernetes = await startKubernetes({
    dataDir: folder,
    // What stands for an image whose container names no command.
    images: new Map([["example/hello", ["node", "-e", server]]]),
  });
});

after(async () => {
  await kubernetes.stopAll();
  await rm(folder, { recursive: true });
});

// A pod's programs bind $HOST: each pod has an address of its own.
const server = `require("http").createServer((q, s) => s.end("hello")).listen(8080, process.env.HOST)`;

await test("the deployment serves", async () => {
  await kubernetes.client.create(DeploymentKind, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace: "default", name: "hello" },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "hello" } },
      template: {
        metadata: { labels: { app: "hello" } },
        spec: {
          containers: [
            {
              name: "hello",
              image: "example/hello:1",
              readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  });

  let pods = [];
  while (pods.length < 2) {
    const { items } = await kubernetes.client.list(PodKind, {
      namespace: "default",
      labelSelector: "app=hello",
    });
    pods = items.filter(({ status }) => status?.containerStatuses?.every(({ ready }) => ready));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const { status } of pods) {
    const answer = await fetch(`http://${status.podIP}:8080/`);
    assert.equal(await answer.text(), "hello");
  }
});
