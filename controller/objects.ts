import type { ReadService } from "../api/canary/types.ts";
import { HorizontalPodAutoscalerKind, ServiceKind } from "../api/core.ts";
import type { Kind, KubeObject } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import type { Traffic } from "./decide/traffic.ts";
import { digestOf } from "./revision.ts";
import { buildServices, isOwned, serviceWrite } from "./routers/services.ts";
import { primaryAutoscalerWrite } from "./scalers/hpa.ts";
import { pauseWrite, primaryScaledObjectWrite, scaledObjectOf } from "./scalers/scaled-object.ts";
import { routeSource, type Subject } from "./subject.ts";
import { buildServiceCopy, changedCopy, isService, isServiceTemplate } from "./targets/service.ts";
import type { Write } from "./write.ts";

/** What was written last time, and all that it depended on. */
interface Known {
  readonly inputs: string;
  readonly reads: readonly Read[];
  readonly writes: readonly Write[];
}

/** Data, not a closure, which would keep the whole snapshot of its time alive. */
interface Read {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly found: string | undefined;
}

/** By the reading of a Canary's spec, which is one object per generation. */
const known = new WeakMap<ReadService, Known>();

/**
 * What must be written so that Services, rules, route and the primary's autoscaler are as the Canary wants them.
 *
 * `apex`: also what leads users' traffic to the primary. It stays out until the primary is ready for it.
 * Computed again only when an object that it read has changed.
 */
export function objectWrites(subject: Subject, apex: boolean, wanted: Traffic): readonly Write[] {
  const { canary, primary, selector, snapshot, template } = subject;
  const inputs = JSON.stringify([
    apex,
    selector,
    wanted,
    primary !== undefined,
    template && (canary.service.portDiscovery || isServiceTemplate(template) ? digestOf(template) : true),
  ]);
  const last = known.get(canary.service);
  const isSame = ({ kind, namespace, name, found }: Read) =>
    found !== undefined && versionOf(snapshot.get(kind, namespace, name)) === found;
  if (last?.inputs === inputs && last.reads.every(isSame)) return last.writes;
  const reads: Read[] = [];
  const writes = findWrites({ ...subject, snapshot: recording(snapshot, reads) }, apex, wanted);
  known.set(canary.service, { inputs, reads, writes });
  return writes;
}

function findWrites(subject: Subject, apex: boolean, wanted: Traffic): readonly Write[] {
  const { canary, owner, snapshot, router } = subject;
  const routes = apex ? router.objects(canary, owner, wanted, snapshot) : [];
  if (subject.kind.kind.kind === "Service") return [...canaryServiceWrites(subject, wanted), ...routes];
  const source = routeSource(subject);
  if (source === undefined) return [];
  const apexToCanary = router.apexLeadsToCanary?.(wanted) === true;
  const services = buildServices({ ...source, apexToCanary });
  const generated = [services.canary, services.primary, ...(apex ? [services.apex] : [])];
  return [
    ...generated.flatMap((service) => serviceWrite(service, source, snapshot) ?? []),
    ...routes,
    ...autoscalerWrites(subject, wanted.primaryReplicas),
    ...scaledObjectWrites(subject, wanted),
  ];
}

/** The canary's Service follows the target, but never while it takes traffic: what is analysed stays where it is. */
function canaryServiceWrites(
  { canary, owner, snapshot, target, template }: Subject,
  { canaryWeight, mirror, preview }: Traffic,
): readonly Write[] {
  const { namespace, names, service } = canary;
  if (target === undefined || !isService(target) || template === undefined || !isServiceTemplate(template))
    return [];
  const existing = snapshot.get(ServiceKind, namespace, names.canaryService);
  if (existing === undefined) {
    const object = buildServiceCopy(target, names.canaryService, template, owner, service.canary);
    return [{ kind: "create", of: ServiceKind, object }];
  }
  if (canaryWeight > 0 || mirror > 0 || preview || !isOwned(existing, owner)) return [];
  const object = changedCopy(existing, template);
  return object === undefined ? [] : [{ kind: "replace", of: ServiceKind, object }];
}

/** The same for the answer to a write and for its echo in the watch; undefined for an object that no server has numbered. */
function versionOf(object: KubeObject | undefined): string | undefined {
  if (object === undefined) return "none";
  const { uid, resourceVersion } = object.metadata;
  return resourceVersion === undefined ? undefined : `${uid}/${resourceVersion}`;
}

/** A snapshot that notes each object that is read of it. */
function recording(snapshot: Snapshot, reads: Read[]): Snapshot {
  return {
    ...snapshot,
    get: (kind, namespace, name) => {
      const found = snapshot.get(kind, namespace, name);
      reads.push({ kind, namespace, name, found: versionOf(found) });
      return found;
    },
  };
}

function autoscalerWrites(
  { canary, owner, snapshot, primary }: Subject,
  least: number | undefined,
): readonly Write[] {
  const { autoscaler, namespace } = canary;
  if (primary === undefined || autoscaler?.kind !== "HorizontalPodAutoscaler") return [];
  const source = snapshot.get(HorizontalPodAutoscalerKind, namespace, autoscaler.name);
  if (source === undefined) return [];
  const aimedAt = { kind: canary.target.kind, name: canary.names.primaryWorkload };
  return primaryAutoscalerWrite(source, autoscaler, aimedAt, owner, snapshot, least) ?? [];
}

/** Between runs KEDA leaves the target at 0; in them the target's ScaledObject is as its author wrote it. */
function scaledObjectWrites(
  { canary, owner, snapshot, primary }: Subject,
  { primaryReplicas, targetRests }: Traffic,
): readonly Write[] {
  const source = scaledObjectOf(canary, snapshot);
  if (primary === undefined || source === undefined) return [];
  const pause = targetRests === undefined ? undefined : pauseWrite(source, true);
  return [
    ...primaryScaledObjectWrite(source, canary, owner, snapshot, primaryReplicas),
    ...(pause ? [pause] : []),
  ];
}
