import type { Canary } from "../api/kinds.ts";
import type { Kind, KubeObject } from "../api/resource.ts";
import type { JsonPatchOperation } from "../kube/contract.ts";

/** One write to the API server, as data. */
export type Write =
  | { readonly kind: "create"; readonly of: Kind; readonly object: KubeObject }
  /** With the resourceVersion that was read: refused where another wrote since. */
  | { readonly kind: "replace"; readonly of: Kind; readonly object: KubeObject }
  /** The status alone, in the same way. */
  | { readonly kind: "status"; readonly of: Kind<Canary>; readonly object: Canary }
  | {
      readonly kind: "patch";
      readonly of: Kind;
      readonly namespace: string;
      readonly name: string;
      readonly operations: readonly JsonPatchOperation[];
    };

/** The operations that set (`undefined`: remove) annotations of an object that has `present` ones. */
export function annotationOperations(
  present: Readonly<Record<string, string>> | undefined,
  wanted: Readonly<Record<string, string | undefined>>,
): readonly JsonPatchOperation[] {
  const changes = Object.entries(wanted).filter(([name, value]) => present?.[name] !== value);
  if (present === undefined) {
    const added = changes.filter(([, value]) => value !== undefined);
    return added.length === 0
      ? []
      : [{ op: "add", path: "/metadata/annotations", value: Object.fromEntries(added) }];
  }
  return changes.map(([name, value]) => {
    const path = `/metadata/annotations/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    return value === undefined ? { op: "remove", path } : { op: "add", path, value };
  });
}
