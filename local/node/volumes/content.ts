import type { PersistentVolume, Pod } from "../../../api/core.ts";
import type { Volume } from "../container.ts";
import type { ObjectLookup } from "../environment.ts";
import { type PodPlace, readField } from "../field-ref.ts";
import { readResource } from "../resource-ref.ts";

export interface VolumeFile {
  /** Relative to the volume. */
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
}

/** A volume cannot be made; pods wait for it with a `FailedMount` event, in the kubelet's words. */
export class VolumeError extends Error {
  override readonly name = "VolumeError";
}

/** What stands behind a volume: files that the runner writes, an empty folder, or a folder of the machine. */
export type VolumeContent =
  | { readonly kind: "files"; readonly files: readonly VolumeFile[] }
  | { readonly kind: "folder" }
  /** `type` as `hostPath.type` has it: what must be there, or is made. */
  | { readonly kind: "host"; readonly path: string; readonly type?: string };

export interface VolumeInput {
  readonly pod: Pod;
  readonly place: PodPlace;
  readonly lookup: ObjectLookup;
  /** The token for a projected source of this volume. */
  token(audience: string | undefined, expirationSeconds: number | undefined): string;
}

type Projection = NonNullable<NonNullable<Volume["projected"]>["sources"]>[number];
type DownwardItems = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>;
type KeyItems = NonNullable<NonNullable<Volume["configMap"]>["items"]>;

/**
 * What a volume holds.
 *
 * @throws VolumeError when something that is not optional is missing, or the kind of volume is not known here
 */
export function volumeContent(volume: Volume, input: VolumeInput): VolumeContent {
  const { configMap, secret, downwardAPI, projected, emptyDir, hostPath, persistentVolumeClaim } = volume;
  if (emptyDir) return { kind: "folder" };
  if (hostPath) {
    const { path, type = "" } = hostPath;
    return { kind: "host", path, type };
  }
  if (persistentVolumeClaim) {
    return { kind: "host", path: claimFolder(persistentVolumeClaim.claimName, input.lookup) };
  }
  if (configMap) return files(configMapFiles(configMap, configMap.defaultMode, input));
  if (secret) {
    const { secretName, items, optional, defaultMode } = secret;
    return files(secretFiles({ name: secretName, items, optional }, defaultMode, input));
  }
  if (downwardAPI) return files(downwardFiles(downwardAPI.items ?? [], downwardAPI.defaultMode, input));
  if (projected) {
    const sources = projected.sources ?? [];
    return files(sources.flatMap((source) => projectedFiles(source, projected.defaultMode, input)));
  }
  const kind = Object.keys(volume).find((key) => key !== "name") ?? "unknown";
  throw new VolumeError(
    `volume \`${volume.name}\` is a ${kind}: on this machine use emptyDir, hostPath, persistentVolumeClaim, configMap, secret, downwardAPI or projected`,
  );
}

function claimFolder(name: string, lookup: ObjectLookup): string {
  const claim = lookup.claim(name);
  if (!claim) throw new VolumeError(`persistentvolumeclaim "${name}" not found`);
  const folder = folderOf(claim.volume);
  if (folder !== undefined) return folder;
  throw new VolumeError(
    claim.volume
      ? `the volume of persistentvolumeclaim "${name}" is not a folder of this machine (hostPath, local)`
      : "pod has unbound immediate PersistentVolumeClaims",
  );
}

/** The folder of this machine that a volume is; undefined where it is something else. */
export function folderOf(volume: PersistentVolume | undefined): string | undefined {
  return volume?.spec?.hostPath?.path ?? volume?.spec?.local?.path;
}

function files(list: readonly VolumeFile[]): VolumeContent {
  return { kind: "files", files: list };
}

function projectedFiles(
  source: Projection,
  mode: number | undefined,
  input: VolumeInput,
): readonly VolumeFile[] {
  const { serviceAccountToken: token, configMap, secret, downwardAPI } = source;
  if (token) {
    const content = Buffer.from(input.token(token.audience, token.expirationSeconds));
    return [{ path: token.path, content, mode: mode ?? 0o600 }];
  }
  if (configMap) return configMapFiles(configMap, mode, input);
  if (secret) return secretFiles(secret, mode, input);
  return downwardFiles(downwardAPI?.items ?? [], mode, input);
}

interface KeyedSource {
  readonly name?: string | undefined;
  readonly items?: KeyItems | undefined;
  readonly optional?: boolean | undefined;
}

function configMapFiles(
  source: KeyedSource,
  mode: number | undefined,
  { lookup }: VolumeInput,
): VolumeFile[] {
  const object = lookup.configMap(source.name ?? "");
  const text = Object.entries(object?.data ?? {}).map(([key, value]) => [key, Buffer.from(value)] as const);
  const binary = Object.entries(object?.binaryData ?? {}).map(
    ([key, value]) => [key, base64(value)] as const,
  );
  return keyedFiles("configmap", source, object && new Map([...text, ...binary]), mode);
}

function secretFiles(source: KeyedSource, mode: number | undefined, { lookup }: VolumeInput): VolumeFile[] {
  const object = lookup.secret(source.name ?? "");
  const entries = Object.entries(object?.data ?? {}).map(([key, value]) => [key, base64(value)] as const);
  return keyedFiles("secret", source, object && new Map(entries), mode);
}

function keyedFiles(
  kind: string,
  { name, items, optional }: KeyedSource,
  values: ReadonlyMap<string, Buffer> | undefined,
  mode = 0o644,
): VolumeFile[] {
  if (!values && !optional) throw new VolumeError(`${kind} "${name}" not found`);
  if (!items) return [...(values ?? [])].map(([path, content]) => ({ path, content, mode }));
  return items.flatMap((item) => {
    const content = values?.get(item.key);
    if (content) return [{ path: item.path, content, mode: item.mode ?? mode }];
    if (optional) return [];
    throw new VolumeError(`${kind} "${name}" has no key \`${item.key}\``);
  });
}

function downwardFiles(items: DownwardItems, mode = 0o644, { pod, place }: VolumeInput): VolumeFile[] {
  return items.map(({ path, fieldRef, resourceFieldRef, mode: own }) => {
    const named = resourceFieldRef?.containerName;
    const container = pod.spec?.containers.find(({ name }) => name === named) ?? {};
    const text = fieldRef
      ? readField(pod, fieldRef.fieldPath, place)
      : readResource(container, resourceFieldRef?.resource ?? "", resourceFieldRef?.divisor);
    if (text === undefined)
      throw new VolumeError(`downward API file \`${path}\` refers to a field that a pod does not have`);
    return { path, content: Buffer.from(text), mode: own ?? mode };
  });
}

function base64(text: string): Buffer {
  return Buffer.from(text, "base64");
}
