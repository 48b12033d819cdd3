import { isAbsolute, join, relative } from "node:path";
import type { Container } from "../container.ts";
import { VolumeError } from "./content.ts";

/** Name of the variable by which a process learns where its mounts are: JSON, mountPath → folder on this machine. */
export const mountsVariable = "FAIRLEAD_MOUNTS";

/** A path inside the container, and what stands for it on this machine. */
export interface Mount {
  readonly mountPath: string;
  readonly source: string;
  readonly readOnly: boolean;
  /** The source is a file that is made when the container starts. */
  readonly isFile?: boolean;
}

export interface MountsInput {
  readonly container: Pick<Container, "volumeMounts">;
  /** The folder of each volume of the pod. */
  readonly folders: ReadonlyMap<string, string>;
  /** Replaces `$(NAME)` in a `subPathExpr`. */
  readonly expand: (text: string) => string;
}

/**
 * Where a container's mounts are on this machine.
 *
 * @throws VolumeError for a subPath that leaves its volume
 */
export function mountsOf({ container, folders, expand }: MountsInput): readonly Mount[] {
  return (container.volumeMounts ?? []).flatMap((mount) => {
    const folder = folders.get(mount.name);
    if (folder === undefined) return [];
    const part = mount.subPathExpr === undefined ? mount.subPath : expand(mount.subPathExpr);
    const source = part ? join(folder, part) : folder;
    if (relative(folder, source).startsWith("..") || (part && isAbsolute(part))) {
      throw new VolumeError(`subPath \`${part}\` of volume \`${mount.name}\` leaves the volume`);
    }
    return [{ mountPath: mount.mountPath, source, readOnly: mount.readOnly === true }];
  });
}

/** {@link mountsVariable}'s value. */
export function mountsJson(mounts: readonly Mount[]): string {
  return JSON.stringify(Object.fromEntries(mounts.map(({ mountPath, source }) => [mountPath, source])));
}

/** A path inside the container as a path on this machine: the longest mount above it decides. */
export function resolvePath(path: string, mounts: readonly Mount[]): string {
  const above = mounts
    .filter(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath.replace(/\/$/, "")}/`))
    .toSorted((a, b) => b.mountPath.length - a.mountPath.length)[0];
  return above ? join(above.source, path.slice(above.mountPath.length)) : path;
}
