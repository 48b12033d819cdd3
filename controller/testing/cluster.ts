/** A cluster for tests: an API server, and in place of pods a loop that calls every Deployment ready. */
import {
  CustomResourceDefinitionKind,
  type DaemonSet,
  DaemonSetKind,
  type Deployment,
  DeploymentKind,
} from "../../api/core.ts";
import { crds } from "../../api/crds.ts";
import { type Canary, CanaryKind } from "../../api/kinds.ts";
import { createClient } from "../../kube/client.ts";
import type { Client, Connection, Informers } from "../../kube/contract.ts";
import { createInformers } from "../../kube/informer.ts";
import type { WatchTiming } from "../../kube/reflector.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { startTestApiServer } from "../../local/testing/api-server.ts";
import { settledStatus } from "./daemon-set.ts";

export interface TestCluster {
  /** The tests' own, which may do everything. */
  readonly client: Client;
  /** The controller's: on a real API server it may do what the Helm chart's roles allow. */
  readonly controllerClient: Client;
  readonly url: string;
  /** Path of a kubeconfig of the tests' own. */
  readonly kubeconfig: string;
  /** For other processes. */
  readonly connection: Connection;
  /** Another view of the server, as another process would have it. */
  informers(client?: Client, timing?: WatchTiming): Informers;
  /** Whether a Deployment's pods get ready; all do until told otherwise. */
  readiness: (deployment: Deployment) => boolean;
  close(): Promise<void>;
}

export async function startTestCluster(): Promise<TestCluster> {
  const server = await startTestApiServer();
  const { connection } = server;
  const client = createClient(connection);
  const controllerClient = createClient(server.connectionOf("controller"));
  for (const crd of crds) await client.create(CustomResourceDefinitionKind, crd as never);
  const opened: Informers[] = [];
  const informers = (from: Client = client, timing?: WatchTiming): Informers => {
    const made = createInformers(from, silent, systemClock, timing);
    opened.push(made);
    return made;
  };
  const cluster: TestCluster = {
    client,
    controllerClient,
    url: connection.url,
    kubeconfig: server.kubeconfig,
    connection,
    informers,
    readiness: () => true,
    async close() {
      for (const one of opened) one.close();
      await client.close();
      await controllerClient.close();
      await server.close();
    },
  };
  const deployments = informers();
  await deployments.watch(DeploymentKind, DaemonSetKind);
  const settle = (deployment: Deployment): void => {
    const status = statusOf(deployment, cluster.readiness(deployment));
    if (status === undefined) return;
    const { namespace, name } = deployment.metadata;
    const { resourceVersion } = deployment.metadata;
    // A newer version comes as another change.
    client
      .patch(
        DeploymentKind,
        namespace,
        name,
        { kind: "merge", body: { metadata: { resourceVersion }, status } },
        "status",
      )
      .catch(() => undefined);
  };
  deployments.onChange(DeploymentKind, (change) => {
    if (change.kind !== "deleted") settle(change.object);
  });
  deployments.onChange(DaemonSetKind, (change) => {
    if (change.kind !== "deleted") settleDaemonSet(change.object, client);
  });
  return cluster;
}

function settleDaemonSet(object: DaemonSet, client: Client): void {
  const { namespace, name, generation = 0, resourceVersion } = object.metadata;
  if (object.status?.observedGeneration === generation) return;
  const body = { metadata: { resourceVersion }, status: settledStatus(object) };
  client.patch(DaemonSetKind, namespace, name, { kind: "merge", body }, "status").catch(() => undefined);
}

/** What a Deployment controller would say; undefined where it has said it. */
function statusOf(
  { metadata, spec, status }: Deployment,
  ready: boolean,
): Record<string, unknown> | undefined {
  const replicas = spec?.replicas ?? 1;
  const available = ready ? replicas : 0;
  const generation = metadata.generation ?? 0;
  if (status?.observedGeneration === generation && (status.availableReplicas ?? 0) === available)
    return undefined;
  return {
    observedGeneration: generation,
    replicas,
    updatedReplicas: replicas,
    readyReplicas: available,
    availableReplicas: available,
  };
}

export function deployment(name: string, image: string): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "default", labels: { app: name } },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "app", image, ports: [{ containerPort: 8080 }] }] },
      },
    },
  };
}

export function canary(name: string, analysis: Canary["spec"]["analysis"]): Canary {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name, namespace: "default" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      service: { port: 80, targetPort: 8080 },
      ...(analysis && { analysis }),
    },
  };
}

/** Waits until `condition` gives something; the last Canary is told where it does not in time. */
export async function waitFor<T>(
  cluster: TestCluster,
  name: string,
  condition: (canary: Canary) => T | undefined | false,
  limit = 15_000,
): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    const object = await cluster.client.get(CanaryKind, "default", name);
    const found = object && condition(object);
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end)
      throw new Error(`not reached in ${limit} ms: ${JSON.stringify(object?.status)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
