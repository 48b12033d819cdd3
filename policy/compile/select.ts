import type { KubeObject } from "../../api/resource.ts";

/** Whom policies are looked up for. */
export interface Workload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Labels of the workload that a Canary generated this one from, where it did. Such a workload stays under
   * every policy that selects its target: its own `app` label differs, and a release must open no door.
   */
  readonly targetLabels?: Readonly<Record<string, string>>;
}

interface Selecting extends KubeObject {
  readonly spec?: { readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> } };
}

/** The policies of a kind that are in force at a workload: its namespace's and the root namespace's. */
export function selectFor<T extends Selecting>(
  policies: readonly T[],
  workload: Workload,
  rootNamespace: string,
): T[] {
  return policies.filter(({ metadata, spec }) => {
    if (metadata.namespace !== workload.namespace && metadata.namespace !== rootNamespace) return false;
    const wanted = spec?.selector?.matchLabels;
    if (wanted === undefined) return true;
    return [workload.labels, workload.targetLabels].some(
      (labels) => labels !== undefined && covers(wanted, labels),
    );
  });
}

function covers(wanted: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(
    ([name, value]) => Object.hasOwn(labels, name) && labels[name] === value,
  );
}
