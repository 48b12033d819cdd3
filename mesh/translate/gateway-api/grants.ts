import type { ReferenceGrant } from "../../../api/kinds.ts";

/** An end of a reference between namespaces. */
export interface Referent {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export type MayRefer = (from: Omit<Referent, "name">, to: Referent) => boolean;

/** Whether one object may refer to another: always within a namespace, else where a ReferenceGrant beside the target says so. */
export function createGrants(grants: readonly ReferenceGrant[]): MayRefer {
  const byNamespace = Map.groupBy(grants, ({ metadata }) => metadata.namespace ?? "");
  return (from, to) =>
    from.namespace === to.namespace ||
    (byNamespace.get(to.namespace) ?? []).some(
      ({ spec }) =>
        spec.from.some(
          ({ group, kind, namespace }) =>
            group === from.group && kind === from.kind && namespace === from.namespace,
        ) &&
        spec.to.some(
          ({ group, kind, name }) =>
            group === to.group && kind === to.kind && (name === undefined || name === "" || name === to.name),
        ),
    );
}
