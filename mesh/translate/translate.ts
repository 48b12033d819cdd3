import {
  EndpointSliceKind,
  type Service as KubeService,
  type Pod,
  PodKind,
  ServiceKind,
} from "../../api/core.ts";
import {
  type DestinationRule,
  DestinationRuleKind,
  PeerAuthenticationKind,
  type VirtualService,
  VirtualServiceKind,
} from "../../api/kinds.ts";
import type { Kind, KubeObject, Problem } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import type { MeshSettings, Model } from "../model/model.ts";
import type { MutualTlsRule } from "../model/mutual-tls.ts";
import type { Service } from "../model/service.ts";
import { SharedMap } from "../model/shared-map.ts";
import type { Changes } from "./changes.ts";
import { createDelegation } from "./delegation.ts";
import { createDerived, createOldestFirst } from "./derive.ts";
import { type TranslatedPolicy, translateDestinationRule } from "./destination-rule.ts";
import { createEndpointIndex } from "./endpoint-index.ts";
import { keepEqualList } from "./keep-equal.ts";
import { findOverlaps } from "./overlaps.ts";
import { translatePeerAuthentication } from "./peer-authentication.ts";
import { findMissing } from "./references.ts";
import { translateService } from "./service.ts";
import { type TranslatedRoutes, translateVirtualService } from "./virtual-service.ts";
import { translateWorkload } from "./workload.ts";

/** The kinds that the model is made of: watch them all. */
export const translatedKinds: readonly Kind<KubeObject>[] = [
  ServiceKind,
  EndpointSliceKind,
  PodKind,
  VirtualServiceKind,
  DestinationRuleKind,
  PeerAuthenticationKind,
];

export interface Translation {
  readonly model: Model;
  /** What of the users' objects cannot be carried out; found when first asked for. */
  readonly problems: () => readonly Problem[];
}

/**
 * Makes the function from snapshots to models.
 *
 * It is pure in what it answers; between calls it keeps what it derived, so that parts which have not changed are the
 * same objects as in the model before, and looks only at what `changes` names (all where there is none).
 *
 * @param cluster id of the Kubernetes cluster, for metrics
 */
export function createTranslator(
  settings: MeshSettings,
  cluster = "Kubernetes",
): (snapshot: Snapshot, changes?: Changes) => Translation {
  const { domain } = settings;
  const services = createDerived(ServiceKind, (object: KubeService) => translateService(object, domain));
  const workloads = createDerived(PodKind, (pod: Pod) => translateWorkload(pod, cluster));
  const routes = createDerived(VirtualServiceKind, (object: VirtualService) =>
    translateVirtualService(object, domain),
  );
  const policies = createDerived(DestinationRuleKind, (object: DestinationRule) =>
    translateDestinationRule(object, domain),
  );
  const rules = createDerived(PeerAuthenticationKind, translatePeerAuthentication);
  const endpointsOf = createEndpointIndex(domain, cluster);
  const withDelegates = createDelegation(domain);
  const routesInOrder = createOldestFirst<TranslatedRoutes>(({ createdAt }) => createdAt);
  const policiesInOrder = createOldestFirst<TranslatedPolicy>(({ policy }) => policy.createdAt);
  const rulesInOrder = createOldestFirst<MutualTlsRule>(({ createdAt }) => createdAt);
  const byHost = createByHost();
  let before: Model | undefined;

  return (snapshot, changes) => {
    const translatedRoutes = routesInOrder(withDelegates(routes.update(snapshot, changes)));
    const translatedPolicies = policiesInOrder(policies.update(snapshot, changes));
    const hosts = byHost(services.update(snapshot, changes));
    const pods = workloads.update(snapshot, changes);
    const next: Model = {
      settings,
      services: hosts,
      endpoints: endpointsOf(snapshot, changes, hosts, pods),
      workloads: pods,
      routes: keepEqualList(
        before?.routes,
        translatedRoutes.flatMap(({ table }) => table ?? []),
      ),
      policies: keepEqualList(
        before?.policies,
        translatedPolicies.map(({ policy }) => policy),
      ),
      mutualTls: rulesInOrder(rules.update(snapshot, changes)),
    };
    // An equal model is the same object: nobody has anything to do.
    const model = before !== undefined && isSame(before, next) ? before : next;
    before = model;
    let problems: readonly Problem[] | undefined;
    return {
      model,
      problems: () => {
        problems ??= withoutRepeats([
          ...[...translatedRoutes, ...translatedPolicies].flatMap((translated) => translated.problems),
          ...findOverlaps(model.routes),
          ...model.routes.flatMap((table) => findMissing(model, table)),
        ]);
        return problems;
      },
    };
  };
}

/** Two that delegate to one both meet what is wrong with it. */
function withoutRepeats(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

/** Services by host instead of by namespace and name. */
function createByHost() {
  let before: SharedMap<Service> = SharedMap.of();
  let hosts: SharedMap<Service> = SharedMap.of();
  return (services: SharedMap<Service>): SharedMap<Service> => {
    const changed = services.changedSince(before);
    const changes = new Map<string, Service | undefined>();
    for (const key of changed) {
      const gone = before.get(key);
      if (gone !== undefined) changes.set(gone.host, undefined);
    }
    for (const key of changed) {
      const service = services.get(key);
      if (service !== undefined) changes.set(service.host, service);
    }
    before = services;
    hosts = hosts.with(changes);
    return hosts;
  };
}

function isSame(before: Model, after: Model): boolean {
  return (
    before.services === after.services &&
    before.endpoints === after.endpoints &&
    before.workloads === after.workloads &&
    before.routes === after.routes &&
    before.policies === after.policies &&
    before.mutualTls === after.mutualTls
  );
}
