import { join } from "node:path";
import type { Container } from "../container.ts";

/** Name of the variable by which a process learns where its mounts are: JSON, mountPath → folder on this machine. */
export const mountsVariable = "FAIRLEAD_MOUNTS";

/** Where a container's mounts are on this machine; `folders` has the folder of each volume of the pod. */
export function mountsOf(
  { volumeMounts = [] }: Pick<Container, "volumeMounts">,
  folders: ReadonlyMap<string, string>,
): Record<string, string> {
  const entries = volumeMounts.flatMap(({ name, mountPath, subPath }) => {
    const folder = folders.get(name);
    return folder === undefined ? [] : [[mountPath, subPath ? join(folder, subPath) : folder] as const];
  });
  return Object.fromEntries(entries);
}

/** A path inside the container as a path on this machine: the longest mount above it decides. */
export function resolvePath(path: string, mounts: Readonly<Record<string, string>>): string {
  const above = Object.entries(mounts)
    .filter(([mountPath]) => path === mountPath || path.startsWith(`${mountPath.replace(/\/$/, "")}/`))
    .sort(([a], [b]) => b.length - a.length)[0];
  return above ? join(above[1], path.slice(above[0].length)) : path;
}
