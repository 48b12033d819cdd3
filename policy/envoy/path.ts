import { HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { PathNormalization } from "../path/normalize.ts";

/** The connection manager's settings of a normalisation mode. */
export function pathSettings(mode: PathNormalization): {
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly pathWithEscapedSlashesAction: EscapedSlashes;
} {
  const escaped: Readonly<Partial<Record<PathNormalization, EscapedSlashes>>> = {
    DECODE_AND_MERGE_SLASHES: EscapedSlashes.UNESCAPE_AND_FORWARD,
    STRICT: EscapedSlashes.REJECT_REQUEST,
  };
  return {
    normalizePath: mode !== "NONE",
    mergeSlashes: mode !== "NONE" && mode !== "BASE",
    pathWithEscapedSlashesAction: escaped[mode] ?? EscapedSlashes.KEEP_UNCHANGED,
  };
}
