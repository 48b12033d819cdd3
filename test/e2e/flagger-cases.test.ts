/** Flagger's acceptance cases against an API server, each in a namespace of its own; pods are called ready by a loop, signals are scripted. */
import { afterAll, beforeAll, test } from "vitest";
import { NamespaceKind } from "../../api/core.ts";
import { CanaryKind } from "../../api/kinds.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import { startTestCluster, type TestCluster } from "../../controller/testing/cluster.ts";
import type { CaseBed } from "../../controller/testing/flagger/bed.ts";
import { flaggerCases } from "../../controller/testing/flagger-cases.ts";
import { startTestController } from "../../controller/testing/process.ts";
import { isConflict } from "../../kube/error.ts";
import { until } from "../../local/testing/until.ts";

let cluster: TestCluster;
/** `namespace image` of what does not run. */
const broken = new Set<string>();

beforeAll(async () => {
  cluster = await startTestCluster();
  cluster.readiness = ({ metadata, spec }) =>
    !broken.has(`${metadata.namespace} ${spec?.template.spec?.containers[0]?.image}`);
});

afterAll(async () => {
  await cluster?.close();
});

let tries = 0;

test.concurrent.each(Object.entries(flaggerCases))("%s", async (name, play) => {
  // One of its own for a second try, too.
  const namespace = `case-${name.slice(0, 2).toLowerCase()}-${++tries}`;
  await cluster.client.create(NamespaceKind, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
  const includeLabelPrefixes = ["test-label-prefix", "test-annotation-prefix"];
  const controller = await startTestController(cluster, { settings: { namespace, includeLabelPrefixes } });
  try {
    await play(inNamespace(namespace, controller.signals));
  } finally {
    await controller.close();
  }
});

function inNamespace(namespace: string, signals: { failing: number }): CaseBed {
  const { client } = cluster;
  const get = <T extends KubeObject>(kind: Kind<T>, name: string) => client.get(kind, namespace, name);
  return {
    get failing() {
      return signals.failing > 0;
    },
    set failing(isFailing) {
      signals.failing = isFailing ? 1 : 0;
    },
    broken: {
      add: (image: string) => broken.add(`${namespace} ${image}`),
    },
    put: async (kind, object) =>
      void (await client.create(kind, { ...object, metadata: { ...object.metadata, namespace } })),
    async edit(kind, name, change) {
      for (;;) {
        const present = await get(kind, name);
        if (present === undefined) throw new Error(`${kind.kind} ${name} is not there`);
        const changed = change(present);
        const { resourceVersion } = present.metadata;
        const metadata = {
          ...changed.metadata,
          namespace,
          ...(resourceVersion !== undefined && { resourceVersion }),
        };
        try {
          await client.replace(kind, { ...changed, metadata });
          return;
        } catch (error) {
          // The controller wrote it meanwhile.
          if (!isConflict(error)) throw error;
        }
      }
    },
    get,
    async until(condition) {
      const end = performance.now() + 60_000;
      for (;;) {
        const canary = await get(CanaryKind, "podinfo");
        if (canary !== undefined && (await condition(canary))) return canary;
        if (performance.now() > end) throw new Error(`not reached: ${JSON.stringify(canary?.status)}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async deleteCanary() {
      await client.delete(CanaryKind, namespace, "podinfo");
      await until(
        "the Canary is let go",
        async () => (await get(CanaryKind, "podinfo")) === undefined,
        30_000,
      );
    },
  };
}
