import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { PermissionSchema } from "../../envoy/generated/envoy/config/rbac/v3/rbac_pb.js";
import {
  type Permission,
  type RBAC,
  RBAC_Action,
  RBACSchema,
} from "../../envoy/generated/envoy/config/rbac/v3/rbac_pb.js";
import { strictRule } from "../edge/receive.ts";
import { regex } from "./matcher.ts";

type PermissionInit = MessageInitShape<typeof PermissionSchema>;

/**
 * What our mode STRICT refuses beyond what the connection manager can: dot segments with parameters (`/..;x`), which
 * some servers climb, and several Host lines, which Envoy joins by a comma.
 */
export function strictPaths(): RBAC {
  const path: PermissionInit = {
    rule: { case: "urlPath", value: { rule: { case: "path", value: regex(".*/\\.\\.?;.*") } } },
  };
  const host: PermissionInit = {
    rule: {
      case: "header",
      value: {
        name: ":authority",
        headerMatchSpecifier: {
          case: "stringMatch",
          value: { matchPattern: { case: "contains", value: "," } },
        },
      },
    },
  };
  return create(RBACSchema, {
    action: RBAC_Action.DENY,
    policies: {
      [strictRule]: {
        permissions: [path, host] as Permission[],
        principals: [{ identifier: { case: "any", value: true } }],
      },
    },
  });
}
