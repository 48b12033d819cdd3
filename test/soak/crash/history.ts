import type { KubeObject } from "../../../api/resource.ts";
import type { Informers } from "../../../kube/contract.ts";
import { kinds } from "./kinds.ts";

/** Every version of every object of one namespace, in the order in which the server stored them. */
export interface History {
  versions(): readonly Version[];
  stop(): void;
}

export interface Version {
  readonly object: KubeObject;
  readonly deleted: boolean;
  /** Epoch milliseconds when it was seen. */
  readonly at: number;
}

/** Records what is there, and what comes from now on. The server numbers the versions of all kinds in one row, so that they can be put in order. */
export function recordHistory(informers: Informers, namespace: string): History {
  const snapshot = informers.snapshot();
  const there = kinds.flatMap((kind) => snapshot.list(kind, namespace));
  const seen: Version[] = there.map((object) => ({ object, deleted: false, at: Date.now() }));
  const stops = kinds.map((kind) =>
    informers.onChange(kind, (change) => {
      if (change.object.metadata.namespace !== namespace) return;
      seen.push({ object: change.object, deleted: change.kind === "deleted", at: Date.now() });
    }),
  );
  return {
    versions: () => seen.toSorted((a, b) => numberOf(a) - numberOf(b)),
    stop() {
      for (const stop of stops) stop();
    },
  };
}

function numberOf({ object }: Version): number {
  return Number(object.metadata.resourceVersion);
}
