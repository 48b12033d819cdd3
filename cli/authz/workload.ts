import {
  DaemonSetKind,
  DeploymentKind,
  type Pod,
  PodKind,
  ServiceKind,
  StatefulSetKind,
} from "../../api/core.ts";
import type { KubeObject } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { selects } from "../../mesh/model/workload.ts";
import { translateWorkload } from "../../mesh/translate/workload.ts";
import { UsageError } from "../failure.ts";

/** A workload that somebody calls. */
export interface Target {
  /** As kubectl names it, e.g. `deployment/shop`. */
  readonly words: string;
  readonly namespace: string;
  /** Of the Deployment (or other workload) that made the pods. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Ports that its containers declare. */
  readonly ports: readonly number[];
  /** Of one of its pods, where it is known. */
  readonly ip: string | undefined;
}

/** What a user wrote: `[NAMESPACE/][KIND/]NAME`. */
export interface TargetName {
  readonly namespace: string;
  readonly kind: TargetKind | undefined;
  readonly name: string;
}

type TargetKind = "deployment" | "statefulset" | "daemonset" | "pod" | "service";

const kindNames: Readonly<Record<string, TargetKind>> = {
  deployment: "deployment",
  deployments: "deployment",
  deploy: "deployment",
  statefulset: "statefulset",
  sts: "statefulset",
  daemonset: "daemonset",
  ds: "daemonset",
  pod: "pod",
  pods: "pod",
  po: "pod",
  service: "service",
  services: "service",
  svc: "service",
};

/** Reads `[NAMESPACE/][KIND/]NAME`. @throws UsageError for anything else */
export function readTargetName(text: string, namespace: string): TargetName {
  const parts = text.split("/");
  const name = parts.pop() ?? "";
  const kindWord = parts.at(-1)?.toLowerCase() ?? "";
  const kind = Object.hasOwn(kindNames, kindWord) ? kindNames[kindWord] : undefined;
  if (kind !== undefined) parts.pop();
  if (name === "" || parts.length > 1 || parts.includes(""))
    throw new UsageError(
      `\`${text}\` names no workload: give [NAMESPACE/][KIND/]NAME, e.g. shop, deploy/shop or demo/pod/shop-1`,
    );
  return { namespace: parts[0] ?? namespace, kind, name };
}

/**
 * Finds a workload: a Deployment, StatefulSet or DaemonSet, else a pod, else the one workload behind a Service.
 *
 * @param labels what a user says its pods carry, where there is no such object
 * @throws UsageError that says what there is instead
 */
export function findTarget(
  snapshot: Snapshot,
  { namespace, kind, name }: TargetName,
  labels?: Readonly<Record<string, string>>,
): Target {
  if (labels !== undefined) {
    return { words: name, namespace, name, labels, serviceAccount: "default", ports: [], ip: undefined };
  }
  const found = [
    ...templated(snapshot, namespace).filter(
      (target) => target.name === name && (kind === undefined || target.words === `${kind}/${name}`),
    ),
    ...(kind === undefined || kind === "pod" ? podNamed(snapshot, namespace, name) : []),
  ][0];
  if (found !== undefined) return found;
  if (kind === undefined || kind === "service") {
    const behind = behindService(snapshot, namespace, name);
    if (behind !== undefined) return behind;
  }
  const known = templated(snapshot, namespace).map(({ words }) => `\`${words}\``);
  const there = known.length > 0 ? `there are ${known.join(", ")}` : "none is there";
  throw new UsageError(
    `no workload \`${kind === undefined ? name : `${kind}/${name}`}\` in namespace \`${namespace}\` (${there}); its pods' labels can be given by --labels`,
  );
}

/** `a=1,b=2`. */
export function wordLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

/** All workloads that make pods from a template. */
function templated(snapshot: Snapshot, namespace: string): Target[] {
  return [DeploymentKind, StatefulSetKind, DaemonSetKind].flatMap((kind) =>
    snapshot
      .list<KubeObject & { readonly spec?: { readonly template?: object } }>(kind, namespace)
      .map((object) => {
        const { name } = object.metadata;
        const { metadata, spec } = (object.spec?.template ?? {}) as Partial<Pod>;
        const pod: Pod = {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { ...metadata, name, namespace },
          ...(spec && { spec }),
        };
        const target = targetOf(pod, `${kind.kind.toLowerCase()}/${name}`);
        const ip = snapshot
          .list(PodKind, namespace)
          .find((each) => targetOf(each, "").name === name && each.status?.podIP)?.status?.podIP;
        return { ...target, ip };
      }),
  );
}

function podNamed(snapshot: Snapshot, namespace: string, name: string): Target[] {
  const pod = snapshot.get(PodKind, namespace, name);
  return pod ? [targetOf(pod, `pod/${name}`)] : [];
}

function targetOf(pod: Pod, words: string): Target {
  const { namespace, labels, serviceAccount, ports, ip, facts } = translateWorkload(pod, "");
  return {
    words,
    namespace,
    name: facts.workload ?? pod.metadata.name,
    labels,
    serviceAccount,
    ports: ports.map(({ number }) => number),
    ip,
  };
}

/** The one workload behind a Service. @throws UsageError where there are several */
function behindService(snapshot: Snapshot, namespace: string, name: string): Target | undefined {
  const selector = snapshot.get(ServiceKind, namespace, name)?.spec?.selector;
  if (selector === undefined) return undefined;
  const behind = templated(snapshot, namespace).filter(({ labels }) => selects(selector, labels));
  const [first, second] = behind;
  if (second === undefined) return first;
  const names = behind.map(({ words }) => `\`${words}\``).join(", ");
  throw new UsageError(`Service \`${name}\` leads to ${names}: name one of them`);
}
