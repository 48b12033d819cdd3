import {
  ConfigMapKind,
  EndpointSliceKind,
  type Service as KubeService,
  type Pod,
  PodKind,
  type Secret,
  SecretKind,
  ServiceKind,
} from "../../api/core.ts";
import {
  type DestinationRule,
  DestinationRuleKind,
  type IstioGateway,
  IstioGatewayKind,
  PeerAuthenticationKind,
  type ServiceEntry,
  ServiceEntryKind,
  type Sidecar,
  SidecarKind,
  type Telemetry,
  TelemetryKind,
  type VirtualService,
  VirtualServiceKind,
  WorkloadEntryKind,
} from "../../api/kinds.ts";
import type { Kind, KubeObject, Problem } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { secretUses } from "../model/client-credential.ts";
import type { Credential } from "../model/credential.ts";
import type { DestinationPolicy } from "../model/destination-policy.ts";
import type { ServiceEndpoints } from "../model/endpoint.ts";
import type { Gateway } from "../model/gateway.ts";
import type { MeshSettings, Model } from "../model/model.ts";
import type { MutualTlsRule } from "../model/mutual-tls.ts";
import type { RouteTable } from "../model/route.ts";
import type { Service } from "../model/service.ts";
import { SharedMap } from "../model/shared-map.ts";
import type { TelemetryModel } from "../model/telemetry.ts";
import type { Changes } from "./changes.ts";
import { findCredentialProblems } from "./client-credentials.ts";
import { translateCredential } from "./credential.ts";
import { createDelegation } from "./delegation.ts";
import { createDerived, createOldestFirst } from "./derive.ts";
import { type TranslatedPolicy, translateDestinationRule } from "./destination-rule.ts";
import { createEndpointIndex } from "./endpoint-index.ts";
import { createEntryEndpoints } from "./entry-endpoints.ts";
import { type TranslatedGateway, translateGateway } from "./gateway.ts";
import { createGatewayApi } from "./gateway-api/incremental.ts";
import { type GatewayApi, gatewayApiKinds } from "./gateway-api/translate.ts";
import { findGatewayProblems } from "./gateway-problems.ts";
import { keepEqualList, keepEqualMap } from "./keep-equal.ts";
import { createMerged } from "./merged.ts";
import { findOverlaps } from "./overlaps.ts";
import { translatePeerAuthentication } from "./peer-authentication.ts";
import { findMissing } from "./references.ts";
import { translateService } from "./service.ts";
import { type TranslatedEntry, translateServiceEntry } from "./service-entry.ts";
import { findShieldProblems } from "./shield-problems.ts";
import { type TranslatedSidecar, translateSidecar } from "./sidecar.ts";
import {
  findMissingProviders,
  readTelemetryProviders,
  type TranslatedTelemetry,
  translateTelemetry,
} from "./telemetry.ts";
import { type TranslatedRoutes, translateVirtualService } from "./virtual-service.ts";
import { translateWorkload } from "./workload.ts";
import { findWorkloadEntryProblems } from "./workload-entry.ts";

/** The kinds that the model is made of: watch them all. */
export const translatedKinds: readonly Kind<KubeObject>[] = [
  ServiceKind,
  EndpointSliceKind,
  PodKind,
  VirtualServiceKind,
  DestinationRuleKind,
  PeerAuthenticationKind,
  IstioGatewayKind,
  SecretKind,
  ServiceEntryKind,
  WorkloadEntryKind,
  TelemetryKind,
  SidecarKind,
  ...gatewayApiKinds,
];

export interface Translation {
  readonly model: Model;
  /** What of the users' objects cannot be carried out; found when first asked for. */
  readonly problems: () => readonly Problem[];
  /** The Gateway API's part, with what statuses should say. */
  readonly gatewayApi: GatewayApi;
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
  const gateways = createDerived(IstioGatewayKind, (object: IstioGateway) => translateGateway(object));
  const secrets = createDerived(SecretKind, (object: Secret, before: Credential | undefined) =>
    translateCredential(object, before),
  );
  const telemetries = createDerived(TelemetryKind, (object: Telemetry) => translateTelemetry(object));
  const telemetriesInOrder = createOldestFirst<TranslatedTelemetry>(({ rule }) => rule.createdAt);
  const telemetryOf = createTelemetry(settings);
  const sidecars = createDerived(SidecarKind, (object: Sidecar) => translateSidecar(object));
  const sidecarsInOrder = createOldestFirst<TranslatedSidecar>(({ rule }) => rule.createdAt);
  const gatewayApiOf = createGatewayApi(domain);
  const gatewaysInOrder = createOldestFirst<TranslatedGateway>(({ gateway }) => gateway.createdAt);
  const entries = createDerived(ServiceEntryKind, (object: ServiceEntry) => translateServiceEntry(object));
  const entryEndpointsOf = createEntryEndpoints(cluster);
  const withEntries = createMerged<Service>();
  const withEntryEndpoints = createMerged<ServiceEndpoints>();
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
    const pods = workloads.update(snapshot, changes);
    const translatedEntries = [...entries.update(snapshot, changes).values()];
    const own = byHost(services.update(snapshot, changes));
    const hosts = withEntries(hostsOfEntries(translatedEntries), own);
    const entryEndpoints = entryEndpointsOf(translatedEntries, snapshot.list(WorkloadEntryKind), pods);
    const translatedTelemetry = telemetriesInOrder(telemetries.update(snapshot, changes));
    const telemetry = telemetryOf(snapshot, translatedTelemetry);
    const translatedSidecars = sidecarsInOrder(sidecars.update(snapshot, changes));
    const translatedGateways = gatewaysInOrder(gateways.update(snapshot, changes));
    const held = secrets.update(snapshot, changes);
    const gatewayApi = gatewayApiOf(snapshot, hosts, held);
    const allGateways = [...translatedGateways.map(({ gateway }) => gateway), ...gatewayApi.gateways];
    const next: Model = {
      settings,
      services: hosts,
      endpoints: withEntryEndpoints(SharedMap.of(entryEndpoints), endpointsOf(snapshot, changes, own, pods)),
      workloads: pods,
      routes: keepEqualList(
        before?.routes,
        withGatewayApi(
          translatedRoutes.flatMap(({ table }) => table ?? []),
          gatewayApi.routes,
        ),
      ),
      policies: keepEqualList(before?.policies, [
        ...translatedPolicies.map(({ policy }) => policy),
        ...gatewayApi.policies,
      ]),
      mutualTls: rulesInOrder(rules.update(snapshot, changes)),
      ...(telemetry && { telemetry }),
      ...(translatedSidecars.length > 0 && {
        sidecars: keepEqualList(
          before?.sidecars,
          translatedSidecars.map(({ rule }) => rule),
        ),
      }),
      ...gatewayParts(
        before,
        allGateways,
        held,
        gatewayApi,
        translatedPolicies.map(({ policy }) => policy),
      ),
    };
    // An equal model is the same object: nobody has anything to do.
    const model = before !== undefined && isSame(before, next) ? before : next;
    before = model;
    let problems: readonly Problem[] | undefined;
    return {
      model,
      gatewayApi,
      problems: () => {
        problems ??= withoutRepeats([
          ...[...translatedRoutes, ...translatedPolicies].flatMap((translated) => translated.problems),
          ...findOverlaps(model.routes),
          ...model.routes.flatMap((table) => (table.ranked ? [] : findMissing(model, table))),
          ...[
            ...translatedGateways,
            ...translatedEntries,
            ...translatedTelemetry,
            ...translatedSidecars,
          ].flatMap((translated) => translated.problems),
          ...findWorkloadEntryProblems(snapshot.list(WorkloadEntryKind), translatedEntries),
          ...findShieldProblems(model.routes),
          ...findGatewayProblems(model),
          ...(model.telemetry === undefined ? [] : findMissingProviders(model.telemetry)),
          ...findCredentialProblems(
            translatedPolicies.map(({ policy }) => policy),
            held,
          ),
        ]);
        return problems;
      },
    };
  };
}

/** Makes the function that keeps what is recorded: undefined where no Telemetry and no default provider says anything. */
function createTelemetry({ rootNamespace }: MeshSettings) {
  let from: readonly [unknown, readonly TranslatedTelemetry[]] = [undefined, []];
  let kept: TelemetryModel | undefined;
  return (snapshot: Snapshot, translated: readonly TranslatedTelemetry[]): TelemetryModel | undefined => {
    const config = snapshot.get(ConfigMapKind, rootNamespace, "istio");
    if (config === from[0] && keepEqualList(from[1], translated) === from[1]) return kept;
    from = [config, translated];
    const providers = readTelemetryProviders(config);
    const says =
      translated.length > 0 || providers.defaultTracer !== undefined || providers.defaultLogs.length > 0;
    kept = says ? { rules: translated.map(({ rule }) => rule), providers } : undefined;
    return kept;
  };
}

/** The Services of ServiceEntries by host: of two for one host the older counts; a Kubernetes Service comes before both. */
function hostsOfEntries(entries: readonly TranslatedEntry[]): SharedMap<Service> {
  const found = new Map<string, Service>();
  for (const service of entries.flatMap(({ services }) => services)) {
    const present = found.get(service.host);
    if (present === undefined || service.createdAt < present.createdAt) found.set(service.host, service);
  }
  return SharedMap.of(found);
}

/** Routes of the mesh that a caller's own namespace wrote for others' Services come before all others. */
function withGatewayApi(tables: readonly RouteTable[], added: readonly RouteTable[]): readonly RouteTable[] {
  if (added.length === 0) return tables;
  const isFirst = ({ exportTo }: RouteTable) => exportTo !== undefined;
  return [...added.filter(isFirst), ...tables, ...added.filter((table) => !isFirst(table))];
}

/** What only a mesh with gateways or policies that name Secrets has: keys stay out of every other model. */
function gatewayParts(
  before: Model | undefined,
  gateways: readonly Gateway[],
  held: SharedMap<Credential>,
  { credentials }: GatewayApi,
  policies: readonly DestinationPolicy[],
): Pick<Model, "gateways" | "credentials"> {
  if (gateways.length === 0 && !policies.some((rule) => secretUses(rule).length > 0)) return {};
  const all = credentials.size === 0 ? held : new Map([...held, ...credentials]);
  return {
    gateways: keepEqualList(before?.gateways, gateways),
    credentials: keepEqualMap(before?.credentials, all),
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
    before.mutualTls === after.mutualTls &&
    before.gateways === after.gateways &&
    before.credentials === after.credentials &&
    before.telemetry === after.telemetry &&
    before.sidecars === after.sidecars
  );
}
