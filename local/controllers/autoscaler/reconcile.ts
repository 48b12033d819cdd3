import { isDeepStrictEqual } from "node:util";
import { type HorizontalPodAutoscaler, HorizontalPodAutoscalerKind, PodKind } from "../../../api/core.ts";
import type { Condition, Kind, KubeObject } from "../../../api/resource.ts";
import { discoverKind } from "../../../kube/discovery.ts";
import { isNotFound } from "../../../kube/error.ts";
import { resourcePath } from "../../../kube/path.ts";
import { createQueue } from "../../../kube/queue.ts";
import type { Milliseconds } from "../../../lib/units.ts";
import { parseLabelSelector } from "../../apiserver/selectors/labels.ts";
import type { PodUsages } from "../../node/usage/usage.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { saysAlready } from "../status.ts";
import { longestMemory, type Memory } from "./behavior.ts";
import { type AutoscalerPlan, planAutoscaler } from "./plan.ts";

export interface AutoscalersOptions {
  /** What the pods of this machine use, since the last call. */
  readonly usages: () => PodUsages;
  /** Between two looks at an autoscaler. kube-controller-manager's default is 15,000. */
  readonly syncPeriod: Milliseconds;
}

interface Scale extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly replicas?: number; readonly selector?: string };
}

const nobody = { apiVersion: "", kind: "", name: "" };
const nothing: Memory = { recommendations: [], changes: [] };

/** Scales what HorizontalPodAutoscalers name by the use of its pods. The caller has started the watches. */
export function startAutoscalers(
  context: ControllerContext,
  { usages, syncPeriod }: AutoscalersOptions,
): Controller {
  const { client, informers, recorder, logger, clock } = context;
  const memories = new Map<string, Memory>();
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(key: string): Promise<{ after: number } | undefined> {
    const [namespace, name] = splitKey(key);
    const autoscaler = informers.snapshot().get(HorizontalPodAutoscalerKind, namespace, name);
    if (!autoscaler?.spec) {
      memories.delete(key);
      return undefined;
    }
    const target = await findTarget(autoscaler);
    if (typeof target === "string") {
      recorder.event(autoscaler, "Warning", "FailedGetScale", target);
      const message = `the HPA controller was unable to get the target's current scale: ${target}`;
      await writeStatus(autoscaler, {
        conditions: withTimes(autoscaler, {
          AbleToScale: { status: "False", reason: "FailedGetScale", message },
        }),
      });
      return { after: syncPeriod };
    }
    const current = target.scale.spec?.replicas ?? 0;
    const memory = recent(
      memories.get(key) ?? { ...nothing, recommendations: [{ at: clock.now(), replicas: current }] },
    );
    const selects = parseLabelSelector(target.scale.status?.selector ?? "");
    const pods = informers
      .snapshot()
      .list(PodKind, namespace)
      .filter(({ metadata }) => selects(metadata.labels ?? {}));
    const plan = planAutoscaler({ autoscaler, current, pods, usages: usages(), memory, now: clock.now() });
    for (const { reason, message } of plan.failures) recorder.event(autoscaler, "Warning", reason, message);
    const rescaled = plan.desired !== current && (await rescale(autoscaler, target.kind, plan));
    memories.set(key, remember(memory, plan, rescaled ? plan.desired - current : 0));
    await writePlan(autoscaler, plan, current, rescaled);
    return { after: syncPeriod };
  }

  /** The target's kind and scale, or why there is none. */
  async function findTarget(
    autoscaler: HorizontalPodAutoscaler,
  ): Promise<{ readonly kind: Kind; readonly scale: Scale } | string> {
    const { apiVersion = "", kind: name, name: object } = autoscaler.spec?.scaleTargetRef ?? nobody;
    const kind = await discoverKind(client, apiVersion, name);
    if (!kind) return `no matches for kind "${name}" in group "${apiVersion.split("/")[0] ?? ""}"`;
    try {
      const path = resourcePath(kind, autoscaler.metadata.namespace, object, "scale");
      return { kind, scale: await client.request<Scale>("GET", path) };
    } catch (error) {
      if (isNotFound(error)) return error instanceof Error ? error.message : `${name} "${object}" not found`;
      throw error;
    }
  }

  async function rescale(
    autoscaler: HorizontalPodAutoscaler,
    kind: Kind,
    plan: AutoscalerPlan,
  ): Promise<boolean> {
    const { name } = autoscaler.spec?.scaleTargetRef ?? nobody;
    const { namespace } = autoscaler.metadata;
    const body = { spec: { replicas: plan.desired } };
    try {
      await client.patch(kind, namespace, name, { kind: "merge", body }, "scale");
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error);
      const message = `New size: ${plan.desired}; reason: ${plan.reason}; error: ${failure}`;
      recorder.event(autoscaler, "Warning", "FailedRescale", message);
      return false;
    }
    const message = `New size: ${plan.desired}; reason: ${plan.reason}`;
    recorder.event(autoscaler, "Normal", "SuccessfulRescale", message);
    return true;
  }

  async function writePlan(
    autoscaler: HorizontalPodAutoscaler,
    plan: AutoscalerPlan,
    current: number,
    rescaled: boolean,
  ): Promise<void> {
    const message = `the HPA controller was able to update the target scale to ${plan.desired}`;
    const scaled: AutoscalerPlan["conditions"] = rescaled
      ? { AbleToScale: { status: "True", reason: "SucceededRescale", message } }
      : {};
    const { lastScaleTime } = autoscaler.status ?? {};
    const { generation } = autoscaler.metadata;
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    await writeStatus(autoscaler, {
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      ...(rescaled ? { lastScaleTime: now } : lastScaleTime === undefined ? {} : { lastScaleTime }),
      currentReplicas: current,
      desiredReplicas: plan.desired,
      currentMetrics: plan.currentMetrics,
      conditions: withTimes(autoscaler, { ...plan.conditions, ...scaled }),
    });
  }

  function withTimes(
    { status }: HorizontalPodAutoscaler,
    conditions: AutoscalerPlan["conditions"],
  ): readonly Condition[] {
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const given = Object.entries(conditions).map(([type, condition]) => {
      const before = status?.conditions?.find((one) => one.type === type);
      const same = before?.status === condition.status && before.lastTransitionTime;
      return { type, ...condition, lastTransitionTime: same || now };
    });
    return given;
  }

  async function writeStatus(
    { metadata, status: before }: HorizontalPodAutoscaler,
    status: object,
  ): Promise<void> {
    if (saysAlready(before, status)) return;
    const { namespace, name } = metadata;
    try {
      await client.patch(
        HorizontalPodAutoscalerKind,
        namespace,
        name,
        { kind: "merge", body: { status } },
        "status",
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Without what no window reaches any more. */
  function recent({ recommendations, changes }: Memory): Memory {
    const oldest = clock.now() - longestMemory;
    return {
      recommendations: recommendations.filter(({ at }) => at > oldest),
      changes: changes.filter(({ at }) => at > oldest),
    };
  }

  function remember(
    { recommendations, changes }: Memory,
    { recommended }: AutoscalerPlan,
    by: number,
  ): Memory {
    const at = clock.now();
    return {
      recommendations:
        recommended === undefined ? recommendations : [...recommendations, { at, replicas: recommended }],
      changes: by === 0 ? changes : [...changes, { at, by }],
    };
  }

  // A change of status is the controller's own: only what a user wrote is looked at at once.
  const stop = informers.onChange(HorizontalPodAutoscalerKind, (change) => {
    const same = change.kind === "modified" && isDeepStrictEqual(change.before.spec, change.object.spec);
    if (!same) queue.add(queueKey(change.object));
  });
  for (const autoscaler of informers.snapshot().list(HorizontalPodAutoscalerKind))
    queue.add(queueKey(autoscaler));

  return {
    async close() {
      stop();
      await queue.close();
    },
  };
}
