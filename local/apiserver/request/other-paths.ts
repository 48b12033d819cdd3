import type { IncomingMessage, ServerResponse } from "node:http";
import { arch, platform, versions } from "node:process";
import { issuer } from "../authentication/tokens.ts";
import type { User } from "../authentication/user.ts";
import type { ApiContext } from "../context.ts";
import { aggregatedMediaType, groupDiscoveryList } from "../discovery/aggregated.ts";
import { apiGroup, apiGroupList, apiResourceList, apiVersions } from "../discovery/legacy.ts";
import { openApiDocument, openApiIndex } from "../openapi/document.ts";
import { methodNotAllowed, unknownResource } from "../status.ts";
import { sendJson, sendText } from "./answer.ts";
import { readAccept } from "./negotiate.ts";

const healthy = new Set(["healthz", "livez", "readyz"]);

/** Serves what is no resource: health, version, discovery, OpenAPI, token keys. */
export async function serveOther(
  context: ApiContext,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  _user: User,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed();
  const [first = "", ...rest] = url.pathname.split("/").filter((part) => part !== "");
  if (healthy.has(first)) return sendText(response, 200, "ok");
  const { registry } = context;
  const wantsAggregated = readAccept(request.headers.accept).some(
    ({ parameters }) => parameters.get("as") === "APIGroupDiscoveryList" && parameters.get("v") === "v2",
  );
  if (rest.length === 0 && (first === "api" || first === "apis") && wantsAggregated) {
    return sendJson(
      response,
      200,
      JSON.stringify(groupDiscoveryList(registry, first === "api")),
      [],
      aggregatedMediaType,
    );
  }
  const answer = await find(context, first, rest, request.headers.host ?? "");
  if (answer === emptySwagger && request.headers.accept?.includes(swaggerAsked)) {
    // Field 1, `swagger`, is "2.0": all that a document needs.
    response.writeHead(200, { "content-type": swaggerProtobuf }).end(Buffer.from("\n\u00032.0", "latin1"));
    return;
  }
  if (answer === undefined && first === "openapi") {
    response.writeHead(404).end();
    return;
  }
  if (answer === undefined && first === "apis" && rest.length === 2 && registry.isBuiltinGroup(rest[0] ?? ""))
    throw unknownResource();
  if (answer === undefined) return sendText(response, 404, "404 page not found\n");
  const mediaType = first === "openid" ? "application/jwk-set+json" : "application/json";
  sendJson(response, 200, JSON.stringify(answer), [], mediaType);
}

async function find(
  context: ApiContext,
  first: string,
  rest: readonly string[],
  host: string,
): Promise<object | undefined> {
  const { registry } = context;
  const [group = "", version = ""] = rest;
  switch (first) {
    case "version":
      return versionInfo;
    case "api":
      return rest.length === 0
        ? apiVersions(host)
        : rest.length === 1
          ? apiResourceList(registry, "", group)
          : undefined;
    case "apis":
      if (rest.length === 0) return apiGroupList(registry);
      return rest.length === 1
        ? apiGroup(registry, group)
        : rest.length === 2
          ? apiResourceList(registry, group, version)
          : undefined;
    case "openapi":
      if (rest[0] === "v2" && rest.length === 1) return emptySwagger;
      return rest[0] === "v3" ? openApi(context, rest.slice(1)) : undefined;
    case "openid":
      return rest.join("/") === "v1/jwks" ? context.tokens.keySet() : undefined;
    case ".well-known":
      return rest.join("/") === "openid-configuration" ? openIdConfiguration(host) : undefined;
    case "":
      return {
        paths: [
          "/api",
          "/apis",
          "/healthz",
          "/livez",
          "/openapi/v3",
          "/openid/v1/jwks",
          "/readyz",
          "/version",
        ],
      };
    default:
      return undefined;
  }
}

const versionInfo = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0-fairlead",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: `node${versions.node}`,
  compiler: "v8",
  platform: `${platform}/${arch === "x64" ? "amd64" : arch}`,
};

/** OpenAPI v2, which clients ask for where v3 does not know a kind: it knows none either. */
const emptySwagger = { swagger: "2.0", info: { title: "Kubernetes", version: "unversioned" }, paths: {} };

// Asked for with an @, which no media type may have, and answered with a dot.
const swaggerAsked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const swaggerProtobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/** The index of documents is made again only when a CRD has changed. */
const indexes = new WeakMap<ApiContext["registry"], { generation: number; index: object }>();

function openApi({ registry }: ApiContext, path: readonly string[]): object | undefined {
  if (path.length === 0) {
    const known = indexes.get(registry);
    if (known?.generation === registry.generation) return known.index;
    const index = openApiIndex(registry);
    indexes.set(registry, { generation: registry.generation, index });
    return index;
  }
  const found = registry.groupVersions().find((groupVersion) => groupVersion.path === path.join("/"));
  return found === undefined ? undefined : openApiDocument(registry, found.group, found.version);
}

function openIdConfiguration(host: string): object {
  return {
    issuer,
    jwks_uri: `https://${host}/openid/v1/jwks`,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
  };
}
