import { createHash } from "node:crypto";
import {
  type ConfigMap,
  ConfigMapKind,
  type PodTemplateSpec,
  type Secret,
  SecretKind,
} from "../../api/core.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { canonicalJson, type TrackedConfigs } from "../revision.ts";
import { type ConfigRef, configReferences } from "./references.ts";

/** A config as it stands in the cluster, with the checksum that says when it has changed. */
export interface TrackedConfig {
  /** `configmap/<name>` or `secret/<name>`, the key of `status.trackedConfigs`. */
  readonly key: string;
  readonly object: ConfigMap | Secret;
  readonly checksum: string;
}

export interface Configs {
  readonly tracked: readonly TrackedConfig[];
  /** Keys that the template needs and the cluster does not hold. */
  readonly missing: readonly string[];
}

/** Secrets of other types (image pull, service account tokens) are not the application's configuration. */
const copiedSecretTypes = new Set([
  "Opaque",
  "kubernetes.io/basic-auth",
  "kubernetes.io/ssh-auth",
  "kubernetes.io/tls",
]);

const optOut = "flagger.app/config-tracking";

/**
 * The ConfigMaps and Secrets that a template reads and that are copied for the primary.
 *
 * Left out: secrets of foreign types, objects annotated `flagger.app/config-tracking: disabled`, and
 * optional references to what does not exist.
 */
export function readConfigs(template: PodTemplateSpec, namespace: string, snapshot: Snapshot): Configs {
  const tracked: TrackedConfig[] = [];
  const missing: string[] = [];
  for (const ref of configReferences(template)) {
    const key = `${ref.kind}/${ref.name}`;
    const object = lookUp(ref, namespace, snapshot);
    if (object === undefined) {
      if (!ref.optional) missing.push(key);
    } else if (isTracked(object)) {
      tracked.push({ key, object, checksum: checksum(object) });
    }
  }
  return { tracked, missing };
}

/** The form that `status.trackedConfigs` holds. */
export function checksums(configs: readonly TrackedConfig[]): TrackedConfigs {
  return Object.fromEntries(configs.map(({ key, checksum }) => [key, checksum]));
}

/**
 * The primary's copy of a config, `<name>-primary`, with every field: data, binaryData, type, immutable.
 *
 * `labels` are the copied ones (already filtered by prefix). The copy of an immutable object is not made
 * immutable, since it must follow at the next promotion.
 */
export function buildConfigCopy(
  { object }: TrackedConfig,
  labels: Readonly<Record<string, string>>,
  owner: OwnerReference,
): ConfigMap | Secret {
  const metadata = {
    name: primaryConfigName(object.metadata.name),
    ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ownerReferences: [owner],
  };
  const { data, type } = object as Secret;
  const { binaryData } = object as ConfigMap;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata,
    ...(data && { data }),
    ...(binaryData && { binaryData }),
    ...(type !== undefined && { type }),
  };
}

export function primaryConfigName(name: string): string {
  return `${name}-primary`;
}

function lookUp(ref: ConfigRef, namespace: string, snapshot: Snapshot): ConfigMap | Secret | undefined {
  return ref.kind === "configmap"
    ? snapshot.get(ConfigMapKind, namespace, ref.name)
    : snapshot.get(SecretKind, namespace, ref.name);
}

function isTracked(object: ConfigMap | Secret): boolean {
  if (object.metadata.annotations?.[optOut]?.startsWith("disable") === true) return false;
  return object.kind === "ConfigMap" || copiedSecretTypes.has((object as Secret).type ?? "Opaque");
}

/** Flagger's form: the first eight bytes, as hex, of the SHA-256 of the content; ours covers binaryData too. */
function checksum(object: ConfigMap | Secret): string {
  const { data } = object;
  const { binaryData } = object as ConfigMap;
  const content = binaryData === undefined ? (data ?? {}) : { data: data ?? {}, binaryData };
  return createHash("sha256").update(canonicalJson(content)).digest("hex").slice(0, 16);
}
