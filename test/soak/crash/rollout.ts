import { pid } from "node:process";
import { rollbackAnnotation, runAnnotation } from "../../../api/annotations.ts";
import { DeploymentKind, NamespaceKind, ServiceKind } from "../../../api/core.ts";
import { type Canary, CanaryKind, HTTPRouteKind, VirtualServiceKind } from "../../../api/kinds.ts";
import type { Kind } from "../../../api/resource.ts";
import { fenceOf } from "../../../controller/revision.ts";
import { deployment } from "../../../controller/testing/cluster.ts";
import type { Informers } from "../../../kube/contract.ts";
import type { Bed } from "./bed.ts";
import { recordHistory } from "./history.ts";
import { brokenInvariants, canaryWeight, imageOf } from "./invariants.ts";
import type { KillPoint } from "./killing-client.ts";
import { type ControllerProcess, startControllerProcess, waitedForCore } from "./process.ts";
import { interval, type Scenario, target } from "./scenarios.ts";

export interface Outcome {
  /** What is left at the end; equal for any two runs of a scenario. */
  readonly remains: string;
  readonly broken: readonly string[];
  /** Of the first process, in order. */
  readonly writes: readonly string[];
  /**
   * Milliseconds from the first start to the end, without the time that a restarted process took to start, and without
   * what it and the API server waited for a core that others had.
   */
  readonly took: number;
  readonly killed: boolean;
}

/** What may carry the traffic of a rollout. */
const routeKinds: readonly Kind[] = [VirtualServiceKind, HTTPRouteKind, ServiceKind];
/** A rollout that has not ended by then hangs. */
const limit = 90_000;

/** One rollout from the first sight of its target to its end; the controller is killed once at `kill` and started again. */
export async function runRollout(
  scenario: Scenario,
  namespace: string,
  kill: KillPoint | undefined,
  bed: Bed,
): Promise<Outcome> {
  const { cluster, informers, hooks } = bed;
  const { client, connection } = cluster;
  if (scenario.isReady) bed.readiness.set(namespace, scenario.isReady);
  await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const history = recordHistory(informers, namespace);
  const read = (): Canary | undefined => informers.snapshot().get(CanaryKind, namespace, target);
  const start = (number: number, point?: KillPoint): ControllerProcess =>
    startControllerProcess({
      connection,
      namespace,
      holder: `${namespace}-${number}`,
      scenario: scenario.name,
      ...(point && { kill: point }),
    });

  const app = deployment(target, "app:1");
  await client.create(DeploymentKind, { ...app, metadata: { ...app.metadata, namespace } });
  await client.create(CanaryKind, canaryOf(scenario, namespace, hooks.url));
  const began = performance.now();
  let restarting = 0;
  let waitedAtStart = 0;
  let serverWaitedAtStart = 0;
  let killed = false;
  const first = start(1, kill);
  let process = first;
  const supervised = first.ended.then(async (signal) => {
    if (signal !== "SIGKILL" || process !== first || done) return;
    killed = true;
    const at = performance.now();
    process = start(2);
    await process.ready;
    restarting = performance.now() - at;
    waitedAtStart = process.waited();
    serverWaitedAtStart = waitedForCore(pid);
  });
  let done = false;
  try {
    await until(
      () => read()?.status?.phase === "Initialized",
      () => describe(read()),
    );
    await client.patch(DeploymentKind, namespace, target, {
      kind: "json",
      operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: "app:2" }],
    });
    await until(
      () => isEnd(read(), informers, namespace),
      () => describe(read()),
    );
    // After its last write all is done before the process is seen to be gone.
    if (kill !== undefined && first.writes.length > kill.write)
      await until(
        () => killed,
        () => `it was not killed at write ${kill.write}`,
      );
    const waited = killed ? process.waited() - waitedAtStart + waitedForCore(pid) - serverWaitedAtStart : 0;
    const took = performance.now() - began - restarting - waited;
    const missed = hooks.missing(namespace, scenario.webhooks ?? []);
    return {
      remains: remains(bed, namespace),
      broken: [
        ...brokenInvariants(history.versions(), target, interval),
        ...(read()?.status?.phase === scenario.ends ? [] : [`it ended in ${read()?.status?.phase}`]),
        ...missed.map((name) => `hook ${name} was not called`),
      ],
      writes: first.writes,
      took,
      killed,
    };
  } finally {
    done = true;
    history.stop();
    await first.kill();
    await supervised.catch(() => undefined);
    await process.kill();
    await client.delete(NamespaceKind, undefined, namespace);
  }
}

function canaryOf({ spec, webhooks = [] }: Scenario, namespace: string, url: string): Canary {
  const { analysis } = spec;
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: target, namespace },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: target },
      service: { port: 80, targetPort: 8080 },
      ...spec,
      ...(analysis && {
        analysis: { ...analysis, webhooks: webhooks.map((type) => ({ name: type || "rollout", type, url })) },
      }),
    },
  };
}

/** The run is closed, and nothing of it is left to be written. */
function isEnd(canary: Canary | undefined, informers: Informers, namespace: string): boolean {
  const { phase, cleanup, run } = canary?.status ?? {};
  if ((phase !== "Succeeded" && phase !== "Failed") || cleanup !== undefined || run !== undefined)
    return false;
  const snapshot = informers.snapshot();
  const routes = routeKinds.map((kind) => snapshot.get(kind, namespace, target));
  const workload = snapshot.get(DeploymentKind, namespace, target);
  return (
    routes.every((route) => route?.metadata.annotations?.[runAnnotation] === undefined) &&
    workload?.spec?.replicas === 0 &&
    // Scaled down it has a new generation, which is the last thing to be noted.
    canary?.status?.lastTrackedRevision === fenceOf(workload.metadata)
  );
}

function remains({ informers }: Bed, namespace: string): string {
  const snapshot = informers.snapshot();
  const canary = snapshot.get(CanaryKind, namespace, target);
  const route = snapshot.get(VirtualServiceKind, namespace, target);
  const primary = snapshot.get(DeploymentKind, namespace, `${target}-primary`);
  return JSON.stringify({
    phase: canary?.status?.phase,
    applied: canary?.status?.lastAppliedSpec,
    promoted: canary?.status?.lastPromotedSpec,
    reason: canary?.status?.failure?.reason,
    conditions: canary?.status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
    outcomes: canary?.status?.history?.map(({ outcome }) => outcome),
    weight: canaryWeight(route, target),
    rolledBack: routeKinds.some(
      (kind) =>
        snapshot.get(kind, namespace, target)?.metadata.annotations?.[rollbackAnnotation] !== undefined,
    ),
    backends: snapshot.get(HTTPRouteKind, namespace, target)?.spec.rules,
    rules: route?.spec.http?.length,
    primary: imageOf(primary),
    replicas: primary?.spec?.replicas,
    services: snapshot
      .list(ServiceKind, namespace)
      .map(({ metadata, spec }) => [metadata.name, spec?.selector]),
    workloads: snapshot.list(DeploymentKind, namespace).map(({ metadata }) => metadata.name),
  });
}

function describe(canary: Canary | undefined): string {
  return JSON.stringify(canary?.status);
}

async function until(condition: () => boolean, describe: () => string): Promise<void> {
  const end = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`no end in ${limit / 1000} s: ${describe()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
