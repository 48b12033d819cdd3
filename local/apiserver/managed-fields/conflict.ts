import { StatusError } from "../status.ts";
import type { Managed } from "./entries.ts";
import { type Path, showPath } from "./field-set.ts";

/** A field that an applier wants to change and another manager owns. */
export interface Conflict {
  readonly owner: Managed;
  readonly path: Path;
}

function showOwner(
  { manager, operation, apiVersion, subresource, time }: Managed,
  withTime: boolean,
): string {
  const name = `${JSON.stringify(manager)}${subresource === undefined ? "" : ` with subresource ${JSON.stringify(subresource)}`}`;
  if (operation === "Apply") return name;
  return `${name} using ${apiVersion}${withTime && time !== undefined ? ` at ${time}` : ""}`;
}

/** 409 with a cause for each field, as `kubectl apply --server-side` prints it. */
export function conflictStatus(conflicts: readonly Conflict[]): StatusError {
  const causes = conflicts.map(({ owner, path }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with ${showOwner(owner, false)}`,
    field: showPath(path),
  }));
  return new StatusError(409, "Conflict", message(conflicts), { causes });
}

function message(conflicts: readonly Conflict[]): string {
  const [only] = conflicts;
  if (only !== undefined && conflicts.length === 1)
    return `Apply failed with 1 conflict: conflict with ${showOwner(only.owner, false)}: ${showPath(only.path)}`;
  const byOwner = Map.groupBy(conflicts, ({ owner }) => owner);
  const lines = [...byOwner].flatMap(([owner, list]) => [
    `conflicts with ${showOwner(owner, false)}:`,
    ...list.map(({ path }) => `- ${showPath(path)}`),
  ]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`;
}
