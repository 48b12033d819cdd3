import { readCanary } from "../../api/canary/read.ts";
import {
  ConfigMapKind,
  DaemonSetKind,
  DeploymentKind,
  HorizontalPodAutoscalerKind,
  SecretKind,
  ServiceKind,
  StatefulSetKind,
} from "../../api/core.ts";
import { CanaryKind } from "../../api/kinds.ts";
import { describeProblem } from "../../api/read.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import { type Adoption, foretellAdoption } from "../../controller/adoption/adopt.ts";
import { type RunningFlagger, readFlagger } from "../../controller/adoption/flagger.ts";
import { chooseRouter } from "../../controller/routers/choose.ts";
import { type ControllerSettings, defaultSettings } from "../../controller/settings.ts";
import type { Client } from "../../kube/contract.ts";
import { isNotFound } from "../../kube/error.ts";
import { snapshotOf } from "../../kube/snapshot.ts";

/** What a take-over from Flagger would do. */
export interface Migration {
  readonly flaggers: readonly RunningFlagger[];
  /** Flagger's settings and what stands for them here, a line each. */
  readonly settings: readonly string[];
  readonly canaries: readonly MigratedCanary[];
}

export interface MigratedCanary {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  readonly kind: Adoption["kind"] | "unreadable";
  readonly message: string;
}

/** Flags of Flagger that `fairlead serve` knows under the same name. */
const kept = [
  "mesh-provider",
  "metrics-server",
  "namespace",
  "selector-labels",
  "include-label-prefix",
  "slack-url",
  "slack-channel",
  "slack-user",
  "msteams-url",
  "event-webhook",
  "no-cross-namespace-refs",
];
/** Those that need nothing here. */
const needless = [
  "log-level",
  "zap-encoding",
  "enable-leader-election",
  "leader-election-namespace",
  "threadiness",
  "port",
  "kubeconfig-qps",
  "kubeconfig-burst",
  "control-loop-interval",
];

/** Reads Flaggers and Canaries, and foretells what becomes of each. Changes nothing. */
export async function readMigration(client: Client): Promise<Migration> {
  const deployments = await client.list(DeploymentKind);
  const flaggers = deployments.items.flatMap((deployment) => readFlagger(deployment) ?? []);
  const { items: canaries } = await client.list(CanaryKind);
  const provider = flaggers[0]?.flags.get("mesh-provider");
  const settings: ControllerSettings = {
    ...defaultSettings,
    ...(provider === "kubernetes" && { meshProvider: provider }),
    ...listOf("selectorLabels", flaggers[0]?.flags.get("selector-labels")),
    ...listOf("includeLabelPrefixes", flaggers[0]?.flags.get("include-label-prefix")),
  };
  const readings = canaries.map((object) => ({
    object,
    reading: readCanary(object, { provider: settings.meshProvider }),
  }));
  const kinds = new Set<Kind>([
    ...[DaemonSetKind, StatefulSetKind, ServiceKind, ConfigMapKind, SecretKind, HorizontalPodAutoscalerKind],
    ...readings.flatMap(({ reading }) => (reading.value ? chooseRouter(reading.value).kinds : [])),
  ]);
  const lists = await Promise.all([...kinds].map((kind) => listIfThere(client, kind)));
  const snapshot = snapshotOf([...deployments.items, ...canaries, ...lists.flat()]);
  return {
    flaggers,
    settings: flaggers.flatMap(({ flags }) => settingLines(flags)),
    canaries: readings.map(({ object, reading }) => {
      const { namespace = "default", name } = object.metadata;
      const about = { namespace, name, phase: object.status?.phase || "-" };
      const [problem] = reading.problems;
      if (reading.value === undefined)
        return { ...about, kind: "unreadable", message: problem ? describeProblem(problem) : "" };
      return { ...about, ...foretellAdoption(reading.value, snapshot, settings) };
    }),
  };
}

function listOf(name: "selectorLabels" | "includeLabelPrefixes", text: string | undefined) {
  return text ? { [name]: text.split(",") } : {};
}

/** A kind that the server does not know has no objects. */
async function listIfThere(client: Client, kind: Kind): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(kind)).items;
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

function settingLines(flags: ReadonlyMap<string, string>): readonly string[] {
  return [...flags].flatMap(([name, value]) => {
    if (needless.includes(name)) return [];
    return kept.includes(name)
      ? [`-${name}=${value}: give \`fairlead serve\` the same`]
      : [`-${name}=${value}: has no counterpart`];
  });
}

/** Scales a Flagger to 0 and waits until none of its pods is left. */
export async function stopFlagger(client: Client, { deployment }: RunningFlagger): Promise<void> {
  const [namespace = "", name = ""] = deployment.split("/");
  await client.patch(DeploymentKind, namespace, name, { kind: "merge", body: { spec: { replicas: 0 } } });
  const deadline = performance.now() + 60_000;
  for (;;) {
    const object = await client.get(DeploymentKind, namespace, name);
    if ((object?.status?.replicas ?? 0) === 0) return;
    if (performance.now() > deadline)
      throw new Error(`deployment ${deployment} still has pods after a minute: look why`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
