import type { Any } from "@bufbuild/protobuf/wkt";
import { CorsPolicySchema } from "../../envoy/generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import type { CorsPolicy } from "../model/route.ts";
import { typed } from "./any.ts";
import { fraction } from "./fraction.ts";
import { buildString } from "./match.ts";

export const corsFilter = "envoy.filters.http.cors";

/** @see envoy.extensions.filters.http.cors.v3.CorsPolicy */
export function buildCors(cors: CorsPolicy): Any {
  const { allowMethods, allowHeaders, exposeHeaders, maxAge, allowCredentials } = cors;
  return typed(CorsPolicySchema, {
    filterEnabled: { defaultValue: fraction(100) },
    allowOriginStringMatch: cors.allowOrigins.map(buildString),
    allowMethods: allowMethods.join(","),
    allowHeaders: allowHeaders.join(","),
    exposeHeaders: exposeHeaders.join(","),
    ...(maxAge !== undefined && { maxAge: String(Math.floor(maxAge / 1000)) }),
    ...(allowCredentials !== undefined && { allowCredentials }),
    forwardNotMatchingPreflights: cors.forwardUnmatchedPreflights,
  });
}
