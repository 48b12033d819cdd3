/** Runs policy cases on a real Envoy: one process, one listener a case. */
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { createRegistry, toJson } from "@bufbuild/protobuf";
import { file_envoy_extensions_filters_http_jwt_authn_v3_config } from "../../envoy/generated/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { file_envoy_extensions_filters_http_rbac_v3_rbac } from "../../envoy/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { HttpFilterSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { file_envoy_extensions_path_match_uri_template_v3_uri_template_match } from "../../envoy/generated/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { type Authority, createRoot, readAuthority } from "../../mesh/ca/authority.ts";
import { signLeaf } from "../../mesh/ca/issue.ts";
import { carried, compileCase } from "../../policy/cases/evaluate.ts";
import type { Case } from "../../policy/cases/read.ts";
import { type KeyRing, makeToken } from "../../policy/cases/token.ts";
import { httpFilters } from "../../policy/envoy/filters.ts";
import { freePort, startEnvoy } from "./envoy.ts";

export interface EnvoyAnswer {
  readonly status: number;
  /** Rule that Envoy names for a denial. */
  readonly deniedBy: string | null;
  /** What the upstream saw, undefined where the request did not reach it. */
  readonly upstream: IncomingHttpHeaders | undefined;
}

const registry = createRegistry(
  file_envoy_extensions_filters_http_jwt_authn_v3_config,
  file_envoy_extensions_filters_http_rbac_v3_rbac,
  file_envoy_extensions_path_match_uri_template_v3_uri_template_match,
);
const hcm =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const router = {
  name: "envoy.filters.http.router",
  typedConfig: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
};

interface Pair {
  readonly cert: string;
  readonly key: string;
}

function certificate(authority: Authority, uri: string, now: number): Pair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const chain = signLeaf(authority, {
    publicKeyInfo: publicKey.export({ format: "der", type: "spki" }),
    subject: [],
    names: { uris: [uri] },
    now,
    lifetime: 0,
  });
  return { cert: chain.join(""), key: privateKey.export({ format: "pem", type: "pkcs8" }).toString() };
}

/** A verified token as the jwt_authn filter would leave it, for cases that give the payload alone. */
function payloadFilter(payload: object) {
  return {
    name: "envoy.filters.http.set_metadata",
    typedConfig: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
      metadata: [{ metadataNamespace: "envoy.filters.http.jwt_authn", value: { payload } }],
    },
  };
}

function listener(one: Case, keys: KeyRing, port: number, server: Pair, root: string, log: string) {
  const filters = httpFilters(compileCase(one, keys).policy).map((filter) =>
    toJson(HttpFilterSchema, filter, { registry }),
  );
  const chain = {
    filters: [
      {
        name: "hcm",
        typedConfig: {
          "@type": hcm,
          statPrefix: "case",
          normalizePath: true,
          accessLog: [
            {
              name: "file",
              typedConfig: {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                path: log,
                logFormat: { textFormatSource: { inlineString: `${one.name}\t%RESPONSE_CODE_DETAILS%\n` } },
              },
            },
          ],
          routeConfig: {
            virtualHosts: [
              {
                name: "v",
                domains: ["*"],
                routes: [{ match: { prefix: "/" }, route: { cluster: "upstream" } }],
              },
            ],
          },
          httpFilters: [...(one.request?.jwt ? [payloadFilter(one.request.jwt)] : []), ...filters, router],
        },
      },
    ],
  };
  const tls = {
    transportSocket: {
      name: "tls",
      typedConfig: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        requireClientCertificate: true,
        commonTlsContext: {
          tlsCertificates: [
            { certificateChain: { inlineString: server.cert }, privateKey: { inlineString: server.key } },
          ],
          validationContext: { trustedCa: { inlineString: root } },
        },
      },
    },
  };
  const mutual = one.request?.source?.principal !== undefined;
  return {
    name: one.name,
    address: { socketAddress: { address: "127.0.0.1", portValue: port } },
    listenerFilters: [
      {
        name: "tls_inspector",
        typedConfig: {
          "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        },
      },
    ],
    filterChains: [{ ...chain, ...(mutual ? tls : {}) }],
  };
}

function cluster(name: string, port: number | undefined) {
  const endpoints =
    port === undefined
      ? []
      : [
          {
            lbEndpoints: [
              { endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: port } } } },
            ],
          },
        ];
  return { name, type: "STATIC", connectTimeout: "1s", loadAssignment: { clusterName: name, endpoints } };
}

/** Asks Envoy every case; answers in their order. `now` in epoch seconds. */
export async function askEnvoy(
  cases: readonly Case[],
  keys: KeyRing,
  now: number,
  log: string,
): Promise<EnvoyAnswer[]> {
  const authority = readAuthority(createRoot("cluster.local", now * 1000));
  const root = authority.rootPem;
  const server = certificate(authority, "spiffe://cluster.local/ns/foo/sa/httpbin", now * 1000);
  let seen: IncomingHttpHeaders | undefined;
  const upstream = createServer((request, response) => {
    seen = request.headers;
    response.end("ok");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => upstream.once("listening", resolve));
  const address = upstream.address();
  const upstreamPort = typeof address === "object" && address !== null ? address.port : 0;
  const ports = await Promise.all(cases.map(() => freePort()));
  const envoy = await startEnvoy({
    staticResources: {
      clusters: [cluster("upstream", upstreamPort), cluster("BlackHoleCluster", undefined)],
      listeners: cases.map((one, index) => listener(one, keys, ports[index] ?? 0, server, root, log)),
    },
  });
  try {
    const statuses: { status: number; upstream: IncomingHttpHeaders | undefined }[] = [];
    for (const [index, one] of cases.entries()) {
      seen = undefined;
      const principal = one.request?.source?.principal;
      const client =
        principal === undefined ? undefined : certificate(authority, `spiffe://${principal}`, now * 1000);
      const status = await ask(one, keys, now, ports[index] ?? 0, client, root);
      statuses.push({ status, upstream: seen });
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    await fetch(`http://${envoy.admin}/reopen_logs`, { method: "POST" });
    const details = new Map(
      readFileSync(log, "utf8")
        .split("\n")
        .map((line) => [line.split("\t")[0] ?? "", line.split("\t")[1] ?? ""] as const),
    );
    return statuses.map(({ status, upstream: headers }, index) => ({
      status,
      deniedBy: deniedBy(details.get(cases[index]?.name ?? "") ?? ""),
      upstream: headers,
    }));
  } finally {
    await envoy.stop();
    upstream.close();
  }
}

/** Envoy writes `rbac_access_denied_matched_policy[<rule>]`, `none` where an ALLOW missed; blanks are underscores. */
function deniedBy(details: string): string | null {
  const rule = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details)?.[1];
  return rule === undefined || rule === "none" ? null : rule;
}

function ask(
  one: Case,
  keys: KeyRing,
  now: number,
  port: number,
  client: Pair | undefined,
  ca: string,
): Promise<number> {
  const asked = one.request ?? {};
  const headers: [string, string][] = [...(asked.headers ?? [])].map(([name, value]) => [name, value]);
  let path = asked.path ?? "/";
  for (const token of asked.tokens ?? []) {
    const { token: text, in: place } = carried(token, makeToken(token, keys, now));
    if (place.kind === "header") headers.push([place.name, `${place.prefix}${text}`]);
    else if (place.kind === "param") path += `${path.includes("?") ? "&" : "?"}${place.name}=${text}`;
    else headers.push(["cookie", `${place.name}=${text}`]);
  }
  headers.push(["host", asked.host ?? "httpbin.foo.svc.cluster.local"]);
  const options = { host: "127.0.0.1", port, path, method: asked.method ?? "GET", headers: headers.flat() };
  return new Promise((resolve, reject) => {
    const request =
      client === undefined
        ? httpRequest(options)
        : httpsRequest({
            ...options,
            ...client,
            ca,
            servername: asked.sni ?? "",
            checkServerIdentity: () => undefined,
          });
    request.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    request.on("error", reject);
    request.end();
  });
}
