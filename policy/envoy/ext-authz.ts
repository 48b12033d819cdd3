import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { ApiVersion } from "../../envoy/generated/envoy/config/core/v3/config_source_pb.js";
import type { GrpcServiceSchema } from "../../envoy/generated/envoy/config/core/v3/grpc_service_pb.js";
import {
  type ExtAuthz,
  ExtAuthzSchema,
} from "../../envoy/generated/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import {
  type ExtAuthz as NetworkExtAuthz,
  ExtAuthzSchema as NetworkExtAuthzSchema,
} from "../../envoy/generated/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import type { MetadataMatcherSchema } from "../../envoy/generated/envoy/type/matcher/v3/metadata_pb.js";
import type { ListStringMatcherSchema } from "../../envoy/generated/envoy/type/matcher/v3/string_pb.js";
import { textMatch } from "../compile/text.ts";
import type { Authorizer } from "../model.ts";
import { stringMatcher } from "./matcher.ts";

/** Where the rules of CUSTOM policies leave the id of the one that matched. */
export const customPrefix = "istio_ext_authz_";

/** Name of the cluster that leads to an authorizer: the mesh's own for that service and port. */
export function authorizerCluster({ host, port }: Authorizer): string {
  return `outbound|${port}||${host}`;
}

/**
 * The filter that asks an authorizer of each request that a rule of its CUSTOM policies matched.
 *
 * @see envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
 */
export function httpExtAuthz(authorizer: Authorizer): ExtAuthz {
  const { failOpen, statusOnError, clearRouteCache, body } = authorizer;
  return create(ExtAuthzSchema, {
    services:
      authorizer.protocol === "grpc"
        ? { case: "grpcService", value: grpcService(authorizer) }
        : { case: "httpService", value: httpService(authorizer) },
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: failOpen,
    statusOnError: { code: statusOnError },
    clearRouteCache,
    filterEnabledMetadata: asked("envoy.filters.http.rbac", authorizer),
    ...(body && {
      withRequestBody: {
        maxRequestBytes: body.most,
        allowPartialMessage: body.partial,
        packAsBytes: body.raw,
      },
    }),
  });
}

/** The same of each TCP connection; the authorizer speaks gRPC. */
export function networkExtAuthz(authorizer: Authorizer): NetworkExtAuthz {
  return create(NetworkExtAuthzSchema, {
    statPrefix: "tcp.",
    grpcService: grpcService(authorizer),
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: authorizer.failOpen,
    filterEnabledMetadata: asked("envoy.filters.network.rbac", authorizer),
  });
}

/** Holds where the rules before it matched for this authorizer. */
function asked(filter: string, { name }: Authorizer): MessageInitShape<typeof MetadataMatcherSchema> {
  return {
    filter,
    path: [{ segment: { case: "key", value: `${customPrefix}shadow_effective_policy_id` } }],
    value: {
      matchPattern: {
        case: "stringMatch",
        value: { matchPattern: { case: "prefix", value: `istio-ext-authz-${name}-ns[` } },
      },
    },
  };
}

function grpcService(authorizer: Authorizer): MessageInitShape<typeof GrpcServiceSchema> {
  const clusterName = authorizerCluster(authorizer);
  return {
    targetSpecifier: {
      case: "envoyGrpc",
      // A bar is no character of an authority.
      value: { clusterName, authority: clusterName.replaceAll("|", "_.") },
    },
    timeout: duration(authorizer.timeout),
  };
}

function httpService(authorizer: Authorizer) {
  const { host, pathPrefix, timeout, requestHeaders, addedHeaders } = authorizer;
  const headersToAdd = Object.entries(addedHeaders)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, value }));
  const upstream = headerList(authorizer.headersToUpstream);
  const onDeny = headerList(authorizer.headersToClientOnDeny);
  const onAllow = headerList(authorizer.headersToClientOnAllow);
  const allowed = headerList(requestHeaders);
  return {
    serverUri: {
      uri: `http://${host}`,
      httpUpstreamType: { case: "cluster" as const, value: authorizerCluster(authorizer) },
      timeout: duration(timeout),
    },
    pathPrefix,
    authorizationRequest: { headersToAdd, ...(allowed && { allowedHeaders: allowed }) },
    authorizationResponse: {
      ...(upstream && { allowedUpstreamHeaders: upstream }),
      ...(onDeny && { allowedClientHeaders: onDeny }),
      ...(onAllow && { allowedClientHeadersOnSuccess: onAllow }),
    },
  };
}

function headerList(names: readonly string[]): MessageInitShape<typeof ListStringMatcherSchema> | undefined {
  if (names.length === 0) return undefined;
  return { patterns: names.map((name) => stringMatcher(textMatch(name), true)) };
}

function duration(milliseconds: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.trunc(milliseconds / 1000)),
    nanos: (milliseconds % 1000) * 1_000_000,
  });
}
