/** For tests: a control plane of one page, and agents as real processes on loopback addresses of their own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  create,
  createRegistry,
  type DescFile,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { Server, type ServerDuplexStream } from "@grpc/grpc-js";
import { file_envoy_config_cluster_v3_cluster } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { file_envoy_config_listener_v3_listener } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { file_envoy_extensions_filters_http_router_v3_router } from "../../envoy/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { file_envoy_extensions_transport_sockets_tls_v3_tls } from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from "../../envoy/generated/envoy/service/discovery/v3/discovery_pb.js";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { createRoot, readAuthority } from "../ca/authority.ts";
import type { WorkloadFacts } from "../ca/issue.ts";
import { IssueError } from "../ca/issue-error.ts";
import { serveOwnCertificate } from "../ca/server-credentials.ts";
import { certificateServiceDefinition, certificateServiceImplementation } from "../ca/service.ts";
import { adsDefinition } from "../xds/definition.ts";
import { agentCommand } from "./command.ts";

const files: DescFile[] = [
  file_envoy_config_cluster_v3_cluster,
  file_envoy_config_listener_v3_listener,
  file_envoy_extensions_filters_http_router_v3_router,
  file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager,
  file_envoy_extensions_transport_sockets_tls_v3_tls,
];
const registry = createRegistry(...files);
const prefix = "type.googleapis.com/";
const runtimeType = `${prefix}envoy.service.runtime.v3.Runtime`;

/** Resources of one pod by type URL: JSON with `@type` and `name`. */
export type Resources = readonly ({ readonly "@type": string; readonly name: string } & Record<
  string,
  JsonValue
>)[];

/** ADS and CSR service on 15012 of `ip`. `resources` by pod name; tokens are `namespace/account` in clear. */
export async function startControlPlane(
  ip: string,
  resources: Readonly<Record<string, Resources>>,
  facts: Readonly<Record<string, WorkloadFacts>>,
) {
  const authority = readAuthority(createRoot("cluster.local", Date.now()));
  const serving = serveOwnCertificate({
    authority: () => authority,
    names: { dns: ["istiod.istio-system.svc"], ips: [ip] },
    clock: systemClock,
    logger: silent,
  });
  /** SPIFFE IDs by node id, as TLS proved them on the discovery stream. */
  const peers = new Map<string, string>();
  let issued = 0;
  const server = new Server();
  server.addService(
    certificateServiceDefinition,
    certificateServiceImplementation({
      authority: () => authority,
      prove: async ({ authorization = "" }) => {
        const [, namespace, serviceAccount] = /^Bearer ([a-z]+)\/([a-z]+)$/.exec(authorization) ?? [];
        if (!namespace || !serviceAccount) throw new IssueError("unauthenticated", "no such token");
        issued += 1;
        const known = facts[serviceAccount];
        return {
          identity: { trustDomain: "cluster.local", namespace, serviceAccount },
          ...(known ? { facts: known } : {}),
        };
      },
      clock: systemClock,
      logger: silent,
    }),
  );
  server.addService(adsDefinition, {
    StreamAggregatedResources: (call: ServerDuplexStream<Buffer, Buffer>) => call.end(),
    DeltaAggregatedResources: (call: ServerDuplexStream<Buffer, Buffer>) => {
      let pod = "";
      call.on("data", (bytes: Buffer) => {
        const request = fromBinary(DeltaDiscoveryRequestSchema, bytes);
        if (request.node) {
          pod = request.node.id.split("~")[2] ?? "";
          peers.set(pod, call.getAuthContext().sslPeerCertificate?.subjectaltname ?? "");
        }
        if (request.responseNonce !== "") return;
        call.write(answer(request.typeUrl, resources[pod] ?? []));
      });
      call.on("end", () => call.end());
      call.on("error", () => {});
    },
    // metrics and access logs of the agent's Envoy find nobody, which must not matter
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`${ip}:15012`, serving.credentials, (error) => (error ? reject(error) : resolve()));
  });
  return {
    authority,
    peers,
    issued: () => issued,
    stop: () => {
      serving.close();
      server.forceShutdown();
    },
  };
}

function answer(typeUrl: string, resources: Resources): Buffer {
  const mine = resources.filter((resource) => resource["@type"] === typeUrl);
  const packed = mine.map((resource) => ({ name: resource.name, version: "1", resource: pack(resource) }));
  // {name: "fl"}, the empty runtime layer
  const layer = create(AnySchema, { typeUrl, value: Buffer.from([0x0a, 2, 0x66, 0x6c]) });
  return Buffer.from(
    toBinary(
      DeltaDiscoveryResponseSchema,
      create(DeltaDiscoveryResponseSchema, {
        typeUrl,
        nonce: "1",
        resources: typeUrl === runtimeType ? [{ name: "fl", version: "1", resource: layer }] : packed,
      }),
    ),
  );
}

function pack(resource: Resources[number]): Any {
  return fromJson(AnySchema, resource, { registry });
}

/** What a pod's agent is started with. */
export interface PodOnLoopback {
  readonly name: string;
  readonly ip: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly controlPlane: string;
  readonly rootPem: string;
  readonly envoy: string;
  /** Stands for the pod's volumes. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The pod's volumes on disk and the variables that the injector writes. */
export function preparePod(pod: PodOnLoopback): NodeJS.ProcessEnv {
  const mounts: Record<string, string> = {};
  const mount = (path: string, file: string, content?: string) => {
    mounts[path] = join(pod.folder, path.replaceAll("/", "_"));
    const host = join(mounts[path], file);
    mkdirSync(dirname(host), { recursive: true });
    if (content !== undefined) writeFileSync(host, content);
  };
  mount("/var/run/secrets/tokens", "istio-token", `${pod.namespace}/${pod.serviceAccount}\n`);
  mount("/var/run/secrets/istio", "root-cert.pem", pod.rootPem);
  mount(
    "/etc/istio/pod",
    "labels",
    `app="${pod.serviceAccount}"\nservice.istio.io/canonical-name="${pod.serviceAccount}"\n`,
  );
  mount("/etc/istio/proxy", "");
  return {
    PATH: process.env.PATH,
    POD_NAME: pod.name,
    POD_NAMESPACE: pod.namespace,
    SERVICE_ACCOUNT: pod.serviceAccount,
    INSTANCE_IP: pod.ip,
    ENVOY_BIN: pod.envoy,
    ISTIO_META_INTERCEPTION_MODE: "NONE",
    ISTIO_META_WORKLOAD_NAME: pod.serviceAccount,
    PROXY_CONFIG: JSON.stringify({ discoveryAddress: `${pod.controlPlane}:15012` }),
    FAIRLEAD_MOUNTS: JSON.stringify(mounts),
    ...pod.env,
  };
}

/** `fairlead agent` as its own process, with further arguments; its words in `log()`. */
export function startAgentProcess(
  env: NodeJS.ProcessEnv,
  more: readonly string[] = [],
): {
  process: ChildProcess;
  log(): string;
  exited: Promise<number | null>;
} {
  const [program = "", ...args] = agentCommand();
  const child = spawn(program, [...args, ...more], { env, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  const keep = (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-20_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  return { process: child, log: () => log, exited };
}
