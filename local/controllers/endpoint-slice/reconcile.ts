import { isDeepStrictEqual } from "node:util";
import { type EndpointSlice, EndpointSliceKind, type Pod, PodKind, ServiceKind } from "../../../api/core.ts";
import type { Change } from "../../../kube/contract.ts";
import { isAlreadyExists, isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { matchesLabels } from "../selector.ts";
import { managedBy, managedByLabel, planSlices, serviceNameLabel } from "./plan.ts";

/** Keeps the EndpointSlices of Services. The caller has started the watches. */
export function startEndpointSlices({ client, informers, logger, clock }: ControllerContext): Controller {
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(key: string): Promise<void> {
    const [namespace, name] = splitKey(key);
    const snapshot = informers.snapshot();
    const service = snapshot.get(ServiceKind, namespace, name);
    const held = snapshot.list(EndpointSliceKind, namespace).filter((slice) => isOurs(slice, name));
    const wanted = service ? planSlices(service, snapshot.list(PodKind, namespace)) : [];
    for (const slice of wanted)
      await write(
        slice,
        held.find(({ metadata }) => metadata.name === slice.metadata.name),
      );
    for (const { metadata } of held) {
      if (wanted.some((slice) => slice.metadata.name === metadata.name)) continue;
      await client.delete(EndpointSliceKind, namespace, metadata.name);
    }
  }

  /** A stale `held` costs one write of the same content, never a wrong one: each write is whole. */
  async function write(slice: EndpointSlice, held: EndpointSlice | undefined): Promise<void> {
    if (held && isSame(slice, held)) return;
    if (!held) {
      try {
        await client.create(EndpointSliceKind, slice);
        return;
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    }
    const { namespace, name, labels, ownerReferences } = slice.metadata;
    const { endpoints, ports } = slice;
    const body = { metadata: { labels, ownerReferences }, endpoints, ports };
    try {
      await client.patch(EndpointSliceKind, namespace, name, { kind: "merge", body });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create(EndpointSliceKind, slice);
    }
  }

  function onPod(change: Change<Pod>): void {
    const { object: pod } = change;
    const { namespace, labels = {} } = pod.metadata;
    const before = change.kind === "modified" ? (change.before.metadata.labels ?? {}) : labels;
    for (const service of informers.snapshot().list(ServiceKind, namespace)) {
      const selector = service.spec?.selector ?? {};
      if (matchesLabels(selector, labels) || matchesLabels(selector, before)) queue.add(queueKey(service));
    }
  }

  const stop = [
    informers.onChange(ServiceKind, ({ object }) => queue.add(queueKey(object))),
    informers.onChange(PodKind, onPod),
    informers.onChange(EndpointSliceKind, ({ kind, object: { metadata } }) => {
      const service = metadata.labels?.[serviceNameLabel];
      const ours = metadata.labels?.[managedByLabel] === managedBy;
      if (service && ours && kind !== "added") queue.add(`${metadata.namespace}/${service}`);
    }),
  ];
  const now = informers.snapshot();
  for (const service of now.list(ServiceKind)) queue.add(queueKey(service));
  for (const { metadata } of now.list(EndpointSliceKind)) {
    const service = metadata.labels?.[serviceNameLabel];
    if (service && metadata.labels?.[managedByLabel] === managedBy)
      queue.add(`${metadata.namespace}/${service}`);
  }

  return {
    async close() {
      for (const end of stop) end();
      await queue.close();
    },
  };
}

function isOurs({ metadata: { labels = {} } }: EndpointSlice, service: string): boolean {
  return labels[serviceNameLabel] === service && labels[managedByLabel] === managedBy;
}

function isSame(wanted: EndpointSlice, held: EndpointSlice): boolean {
  const content = ({ metadata, endpoints, ports }: EndpointSlice) => ({
    labels: metadata.labels ?? {},
    endpoints: endpoints ?? [],
    ports: ports ?? [],
  });
  return isDeepStrictEqual(content(wanted), content(held));
}
