import { actionAnnotation, byAnnotation, reasonAnnotation, revisionAnnotation } from "../api/annotations.ts";
import type { Action } from "./decide/observation.ts";

const kinds: ReadonlySet<string> = new Set<Action["kind"]>([
  "promote",
  "abort",
  "pause",
  "resume",
  "retry",
  "skip",
]);

/** What a person asked of a Canary by its annotations; undefined where nothing is asked. */
export function readAction(annotations: Readonly<Record<string, string>>): Action | undefined {
  const text = annotations[actionAnnotation]?.trim();
  if (text === undefined || text === "") return undefined;
  const weight = /^set-weight=(\d{1,3})$/.exec(text)?.[1];
  const revision = annotations[revisionAnnotation];
  const by = annotations[byAnnotation];
  const reason = annotations[reasonAnnotation];
  return {
    kind: weight !== undefined ? "set-weight" : kinds.has(text) ? (text as Action["kind"]) : "unknown",
    text,
    ...(weight !== undefined && { weight: Number(weight) }),
    ...(revision && { revision }),
    ...(by && { by }),
    ...(reason && { reason }),
  };
}
