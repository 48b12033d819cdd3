import { type DaemonSet, DaemonSetKind, NodeKind, type Pod, PodKind } from "../../../api/core.ts";
import { isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { Dependents, watchDependents } from "../dependents.ts";
import { inBatches, PodControl } from "../pod-control.ts";
import { hashOf, revisionLabel } from "../revision-history.ts";
import { Revisions } from "../revisions.ts";
import { saysAlready } from "../status.ts";
import { podOfTemplate } from "../template-pod.ts";
import { daemonTolerations } from "./nodes.ts";
import { type DaemonSetCounts, planDaemonSet } from "./plan.ts";

/** Keeps one pod of each DaemonSet on each node. The caller has started the watches. */
export function startDaemonSets(context: ControllerContext): Controller {
  const { client, informers, recorder, logger, clock } = context;
  const pods = new Dependents(context, PodKind);
  const podControl = new PodControl(context, pods);
  const revisions = new Revisions(context);
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(key: string): Promise<{ after: number } | undefined> {
    const [namespace, name] = splitKey(key);
    const snapshot = informers.snapshot();
    const daemonSet = snapshot.get(DaemonSetKind, namespace, name);
    if (!daemonSet?.spec) return undefined;
    const { selector, template, revisionHistoryLimit = 10 } = daemonSet.spec;
    const owned = await pods.claim(daemonSet, DaemonSetKind, selector);
    const { collisionCount } = daemonSet.status ?? {};
    const { current, all } = await revisions.bring({
      ...{ owner: daemonSet, kind: DaemonSetKind, template, selector, collisionCount },
    });
    const hash = hashOf(current);
    const nodes = snapshot.list(NodeKind);
    const plan = planDaemonSet({ daemonSet, nodes, pods: owned, hash, now: clock.now() });
    await writeStatus(daemonSet, plan.status);
    for (const pod of plan.failed) tellFailed(daemonSet, pod);
    await inBatches(plan.remove, (pod) => podControl.remove(daemonSet, pod));
    await inBatches(plan.create, (node) => podControl.create(daemonSet, podOn(daemonSet, node, hash)));
    const inUse = new Set(owned.map(({ metadata }) => `${name}-${metadata.labels?.[revisionLabel] ?? ""}`));
    await revisions.trim(all, inUse.add(current.metadata.name), revisionHistoryLimit);
    return plan.recheckAt === undefined ? undefined : { after: plan.recheckAt - clock.now() };
  }

  function tellFailed(daemonSet: DaemonSet, { metadata, status }: Pod): void {
    const { kind, reason } =
      status?.phase === "Failed"
        ? { kind: "Warning" as const, reason: "FailedDaemonPod" }
        : { kind: "Normal" as const, reason: "SucceededDaemonPod" };
    const found = status?.phase === "Failed" ? "failed" : "succeeded";
    const message = `Found ${found} daemon pod ${metadata.namespace}/${metadata.name} on node, will try to ${found === "failed" ? "kill" : "delete"} it`;
    recorder.event(daemonSet, kind, reason, message);
  }

  async function writeStatus(
    { metadata, status: before }: DaemonSet,
    status: DaemonSetCounts,
  ): Promise<void> {
    if (saysAlready(before, status)) return;
    try {
      await client.patch(
        DaemonSetKind,
        metadata.namespace,
        metadata.name,
        { kind: "merge", body: { status } },
        "status",
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  const addAll = () => {
    for (const daemonSet of informers.snapshot().list(DaemonSetKind)) queue.add(queueKey(daemonSet));
  };
  const stop = [
    informers.onChange(DaemonSetKind, ({ object }) => queue.add(queueKey(object))),
    informers.onChange(NodeKind, addAll),
    watchDependents({
      informers,
      kind: PodKind,
      ownerKind: DaemonSetKind,
      selectorOf: ({ spec }) => spec?.selector,
      add: (key) => queue.add(key),
    }),
  ];
  addAll();

  return {
    async close() {
      for (const end of stop) end();
      pods.close();
      revisions.close();
      await queue.close();
    },
  };
}

/** The DaemonSet's pod for one node, which it is bound to by its affinity. */
function podOn(daemonSet: DaemonSet, node: string, hash: string): Pod {
  const pod = podOfTemplate(daemonSet, DaemonSetKind, daemonSet.spec?.template);
  const { affinity, tolerations = [], containers = [], ...spec } = pod.spec ?? {};
  const nodeSelectorTerms = [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }];
  const { labels } = pod.metadata;
  return {
    ...pod,
    metadata: { ...pod.metadata, labels: { ...labels, [revisionLabel]: hash } },
    spec: {
      ...spec,
      containers,
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...affinity?.nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms },
        },
      },
      tolerations: [...tolerations, ...daemonTolerations],
    },
  };
}
