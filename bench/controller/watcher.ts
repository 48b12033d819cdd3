import { type Deployment, DeploymentKind, NamespaceKind } from "../../api/core.ts";
import { CanaryKind, type VirtualService, VirtualServiceKind } from "../../api/kinds.ts";
import { createClient } from "../../kube/client.ts";
import type { Client, Connection } from "../../kube/contract.ts";
import { createInformers } from "../../kube/informer.ts";
import { silent } from "../../lib/log.ts";
import { allNamespaces, canaryOf, deploymentOf, placeOf } from "./manifests.ts";

/** What the outside sees of the canaries, and when (monotonic milliseconds). */
export interface Watcher {
  readonly client: Client;
  /** Makes the targets and the Canaries of these numbers; resolves when all are initialized. */
  create(count: number, stepWeight: number): Promise<void>;
  /** Gives a target a new revision. */
  release(number: number): Promise<void>;
  /** Canaries in one of these phases. */
  inPhase(...phases: readonly string[]): number;
  /** Of the run under way: when its pods were seen ready, and each weight of its canary with its time. */
  timeline(number: number): Timeline;
  close(): Promise<void>;
}

export interface Timeline {
  readonly readyAt: number | undefined;
  readonly weights: readonly { readonly at: number; readonly weight: number }[];
}

/** Requests under way at once while objects are made. */
const width = 32;

export async function startWatcher(connection: Connection): Promise<Watcher> {
  const client = createClient(connection);
  const informers = createInformers(client, silent);
  await informers.watch(CanaryKind, VirtualServiceKind, DeploymentKind);
  const ready = new Map<string, number>();
  const weights = new Map<string, { at: number; weight: number }[]>();
  const keyOf = ({ metadata }: { metadata: { namespace?: string; name: string } }): string =>
    `${metadata.namespace}/${metadata.name}`;

  informers.onChange(DeploymentKind, ({ object }) => {
    if (!ready.has(keyOf(object)) && isReady(object)) ready.set(keyOf(object), performance.now());
  });
  informers.onChange(VirtualServiceKind, ({ object }) => {
    const weight = weightOf(object);
    const known = weights.get(keyOf(object)) ?? [];
    if ((known.at(-1)?.weight ?? 0) === weight) return;
    weights.set(keyOf(object), [...known, { at: performance.now(), weight }]);
  });

  const inPhase = (...phases: readonly string[]): number =>
    informers
      .snapshot()
      .list(CanaryKind)
      .filter(({ status }) => phases.includes(status?.phase ?? "")).length;

  return {
    client,
    inPhase,
    async create(count, stepWeight) {
      for (const name of allNamespaces) {
        await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
      }
      const numbers = Array.from({ length: count }, (_, index) => index).values();
      await Promise.all(
        Array.from({ length: width }, async () => {
          for (const number of numbers) {
            await client.create(DeploymentKind, deploymentOf(number, "app:1"));
            await client.create(CanaryKind, canaryOf(number, stepWeight));
          }
        }),
      );
      await until(() => inPhase("Initialized") === count, 900);
    },
    async release(number) {
      const { namespace, name } = placeOf(number);
      ready.delete(`${namespace}/${name}`);
      weights.delete(`${namespace}/${name}`);
      await client.patch(DeploymentKind, namespace, name, {
        kind: "json",
        operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: "app:2" }],
      });
    },
    timeline(number) {
      const { namespace, name } = placeOf(number);
      const key = `${namespace}/${name}`;
      return { readyAt: ready.get(key), weights: weights.get(key) ?? [] };
    },
    async close() {
      informers.close();
      await client.close();
    },
  };
}

function isReady({ metadata, spec, status }: Deployment): boolean {
  const replicas = spec?.replicas ?? 0;
  return (
    replicas > 0 &&
    spec?.template.spec?.containers[0]?.image === "app:2" &&
    status?.observedGeneration === metadata.generation &&
    status?.updatedReplicas === replicas &&
    status?.availableReplicas === replicas
  );
}

function weightOf({ spec }: VirtualService): number {
  return spec.http?.[0]?.route?.[1]?.weight ?? 0;
}

/** @throws after `seconds` */
export async function until(condition: () => boolean, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${seconds} s in vain`);
    await sleep(50);
  }
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
