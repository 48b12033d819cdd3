import { HorizontalPodAutoscalerKind } from "../api/core.ts";
import { buildServices, serviceWrite } from "./routers/services.ts";
import { primaryAutoscalerWrite } from "./scalers/hpa.ts";
import { routeSource, type Subject } from "./subject.ts";
import type { Write } from "./write.ts";

/**
 * What must be written so that Services, rules, route and the primary's autoscaler are as the Canary wants them.
 *
 * `apex`: also what leads users' traffic to the primary. It stays out until the primary is ready for it.
 */
export function objectWrites(subject: Subject, apex: boolean): readonly Write[] {
  const { canary, owner, snapshot, router } = subject;
  const source = routeSource(subject);
  if (source === undefined) return [];
  const services = buildServices(source);
  const wanted = [services.canary, services.primary, ...(apex ? [services.apex] : [])];
  return [
    ...wanted.flatMap((service) => serviceWrite(service, source, snapshot) ?? []),
    ...(apex ? router.objects(canary, owner, snapshot) : []),
    ...autoscalerWrites(subject),
  ];
}

function autoscalerWrites({ canary, owner, snapshot, primary }: Subject): readonly Write[] {
  const { autoscaler, namespace } = canary;
  if (primary === undefined || autoscaler?.kind !== "HorizontalPodAutoscaler") return [];
  const source = snapshot.get(HorizontalPodAutoscalerKind, namespace, autoscaler.name);
  if (source === undefined) return [];
  return primaryAutoscalerWrite(source, autoscaler, canary.names.primaryWorkload, owner, snapshot) ?? [];
}
