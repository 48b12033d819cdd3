import type { HttpRoute } from "../../api/generated/virtualservices.ts";
import type { Mirror } from "../model/route.ts";
import { translateTarget } from "./destinations.ts";
import type { Scope } from "./scope.ts";

/** `mirrors`, else `mirror` with its percentage; an absent percentage is 100 %, 0 % is none. */
export function translateMirrors(route: HttpRoute, scope: Scope): Mirror[] {
  const written =
    route.mirrors ??
    (route.mirror === undefined
      ? []
      : [{ destination: route.mirror, percentage: route.mirrorPercentage ?? olderPercentage(route) }]);
  return written
    .map(({ destination, percentage }) => ({
      destination: translateTarget(destination, scope),
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
