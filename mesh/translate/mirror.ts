import type { Destination, HttpRoute } from "../../api/generated/virtualservices.ts";
import { qualifiedHost } from "../model/names.ts";
import type { Mirror } from "../model/route.ts";
import type { Scope } from "./scope.ts";

/** `mirrors`, else `mirror` with its percentage; an absent percentage is 100 %, 0 % is none. */
export function translateMirrors(route: HttpRoute, { namespace, domain }: Scope): Mirror[] {
  const written =
    route.mirrors ??
    (route.mirror === undefined
      ? []
      : [{ destination: route.mirror, percentage: route.mirrorPercentage ?? olderPercentage(route) }]);
  const target = ({ host, subset, port }: Destination) => ({
    host: qualifiedHost(host.toLowerCase(), namespace, domain),
    subset: subset || undefined,
    port: port?.number,
  });
  return written
    .map(({ destination, percentage }) => ({
      destination: target(destination),
      percent: percentage === undefined ? 100 : (percentage.value ?? 0),
    }))
    .filter(({ percent }) => percent > 0);
}

/** The integer fields that `mirrorPercentage` replaced. */
function olderPercentage({
  mirrorPercent,
  mirror_percent,
}: HttpRoute): { readonly value: number } | undefined {
  const value = mirrorPercent ?? mirror_percent ?? undefined;
  return value === undefined ? undefined : { value };
}
