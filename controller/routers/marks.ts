import { type RollbackMark, type RunMark, rollbackAnnotation, runAnnotation } from "../../api/annotations.ts";
import type { KubeObject } from "../../api/resource.ts";
import type { JsonPatchOperation } from "../../kube/contract.ts";
import { annotationOperations } from "../write.ts";

/** What a route says of runs: whose weights it carries, and which run was taken back. */
export function readMarks({ metadata }: KubeObject): {
  readonly run?: string;
  readonly rollback?: RollbackMark;
} {
  const run = parseObject(metadata.annotations?.[runAnnotation])?.run;
  const rollback = parseMark(metadata.annotations?.[rollbackAnnotation]);
  return { ...(typeof run === "string" && { run }), ...(rollback && { rollback }) };
}

/** The mark of a run in the write that sets its traffic; that of an earlier run's rollback goes with the first weight. */
export function runMarkOperations(
  { metadata }: KubeObject,
  run: RunMark | undefined,
  canaryWeight: number,
): readonly JsonPatchOperation[] {
  if (run === undefined) return [];
  return annotationOperations(metadata.annotations, {
    [runAnnotation]: JSON.stringify(run),
    ...(canaryWeight > 0 && { [rollbackAnnotation]: undefined }),
  });
}

export function rollbackMarkOperations(
  { metadata }: KubeObject,
  mark: RollbackMark,
): readonly JsonPatchOperation[] {
  return annotationOperations(metadata.annotations, { [rollbackAnnotation]: JSON.stringify(mark) });
}

/** Takes the run's mark away; nothing where there is none. */
export function clearRunOperations({ metadata }: KubeObject): readonly JsonPatchOperation[] {
  return annotationOperations(metadata.annotations ?? {}, { [runAnnotation]: undefined });
}

/** A rollback mark as it stands in an annotation; undefined where it is none. */
export function parseMark(text: string | undefined): RollbackMark | undefined {
  const { id, run, revision, reason, at } = parseObject(text) ?? {};
  const isMark = [id, run, revision, reason, at].every((field) => typeof field === "string");
  return isMark ? ({ id, run, revision, reason, at } as RollbackMark) : undefined;
}

function parseObject(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
