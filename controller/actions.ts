import {
  actionAnnotation,
  byAnnotation,
  gatePrefix,
  reasonAnnotation,
  revisionAnnotation,
} from "../api/annotations.ts";
import type { Action, HandGates } from "./decide/observation.ts";

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

/** The gates that a person has opened or closed by annotation; other values than `open` and `closed` say nothing. */
export function readGates(annotations: Readonly<Record<string, string>>): HandGates {
  const gates = new Map<string, "open" | "closed">();
  for (const [name, value] of Object.entries(annotations)) {
    if (name.startsWith(gatePrefix) && (value === "open" || value === "closed"))
      gates.set(name.slice(gatePrefix.length), value);
  }
  return gates;
}
