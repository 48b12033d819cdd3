import { DeploymentKind, ServiceKind } from "../../../api/core.ts";
import { CanaryKind, HTTPRouteKind, VirtualServiceKind } from "../../../api/kinds.ts";
import type { Kind } from "../../../api/resource.ts";

/** What a rollout changes and the sweep looks at. */
export const kinds: readonly Kind[] = [
  CanaryKind,
  DeploymentKind,
  ServiceKind,
  VirtualServiceKind,
  HTTPRouteKind,
];
