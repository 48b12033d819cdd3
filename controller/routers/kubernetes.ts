import type { ReadCanary } from "../../api/canary/types.ts";
import { type Service, ServiceKind } from "../../api/core.ts";
import type { JsonPatchOperation, Snapshot } from "../../kube/contract.ts";
import type { RouteObservation } from "../decide/observation.ts";
import type { Write } from "../write.ts";
import { clearRunOperations, readMarks, rollbackMarkOperations, runMarkOperations } from "./marks.ts";
import type { Router } from "./router.ts";

/**
 * No mesh: users' traffic goes where the apex Service's selector leads, to one version or the other.
 *
 * Blue/green is real here: when the iterations have passed the selector leads to the canary's pods, and back when the
 * primary serves the same.
 */
export const kubernetesRouter: Router = {
  kinds: [ServiceKind],

  route: ({ namespace, names }) => ({ kind: "Service", namespace, name: names.apexService }),

  observe(canary, wanted, snapshot): RouteObservation {
    const services = find(canary, snapshot);
    if (services === undefined) return { kind: "missing" };
    const { apex, label } = services;
    const value = apex.spec?.selector?.[label.name];
    if (value !== label.primary && value !== label.canary) {
      const message = `service \`${apex.metadata.name}\` selects neither \`${label.name}=${label.primary}\` nor \`${label.name}=${label.canary}\``;
      return { kind: "unusable", message };
    }
    const canaryWeight = value === label.canary ? 100 : 0;
    return {
      kind: "present",
      canaryWeight,
      consistent: true,
      mirrored: false,
      asWanted: canaryWeight === (leadsToCanary(wanted) ? 100 : 0),
      ...readMarks(apex),
    };
  },

  // The Services are made for every provider.
  objects: () => [],

  setTraffic(canary, wanted, run, snapshot) {
    const services = find(canary, snapshot);
    if (services === undefined) return undefined;
    const { apex, label } = services;
    return patch(canary, [
      { op: "test", path: "/metadata/resourceVersion", value: apex.metadata.resourceVersion },
      select(label.name, leadsToCanary(wanted) ? label.canary : label.primary),
      ...runMarkOperations(apex, run, wanted.canaryWeight),
    ]);
  },

  rollBack(canary, mark, snapshot) {
    const services = find(canary, snapshot);
    if (services === undefined) return undefined;
    const { apex, label } = services;
    return patch(canary, [select(label.name, label.primary), ...rollbackMarkOperations(apex, mark)]);
  },

  clearRunMark(canary, snapshot) {
    const apex = snapshot.get(ServiceKind, canary.namespace, canary.names.apexService);
    const operations = apex ? clearRunOperations(apex) : [];
    return operations.length > 0 ? patch(canary, operations) : undefined;
  },

  // The apex Service is given back for every provider.
  revert: () => [],

  apexLeadsToCanary: leadsToCanary,
};

function leadsToCanary({ canaryWeight }: { readonly canaryWeight: number }): boolean {
  return canaryWeight >= 100;
}

/** The apex Service, and the label by which the two others tell the versions apart. */
function find({ namespace, names }: ReadCanary, snapshot: Snapshot) {
  const get = (name: string): Service | undefined => snapshot.get(ServiceKind, namespace, name);
  const apex = get(names.apexService);
  const primary = Object.entries(get(names.primaryService)?.spec?.selector ?? {})[0];
  const canary = Object.entries(get(names.canaryService)?.spec?.selector ?? {})[0];
  if (apex === undefined || primary === undefined || canary === undefined) return undefined;
  return { apex, label: { name: primary[0], primary: primary[1], canary: canary[1] } };
}

function select(label: string, value: string): JsonPatchOperation {
  return { op: "add", path: `/spec/selector/${label.replaceAll("~", "~0").replaceAll("/", "~1")}`, value };
}

function patch({ namespace, names }: ReadCanary, operations: readonly JsonPatchOperation[]): Write {
  return { kind: "patch", of: ServiceKind, namespace, name: names.apexService, operations };
}
