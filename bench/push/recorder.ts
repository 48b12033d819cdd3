/** One more client of the control plane that is measured: keeps the very bytes that it is sent. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import {
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  type DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  DeltaDiscoveryRequestSchema as RequestSchema,
} from "../../envoy/generated/envoy/service/discovery/v3/discovery_pb.js";
import { typeUrls } from "../../mesh/build/resource.ts";
import { adsDefinition } from "../../mesh/xds/definition.ts";

/** Everything that a client was sent: the first answer of each type, then what each change brought. */
export interface Recording {
  readonly first: ReadonlyMap<string, Buffer>;
  readonly changes: readonly Buffer[];
}

export interface Recorder {
  readonly recording: Recording;
  /** Resolves when it holds everything that it asked for. */
  readonly connected: Promise<void>;
  close(): void;
}

/** Connects to plaintext ADS at `address` with this node, asking for what the load tool asks for. */
export function startRecorder(
  address: string,
  node: NonNullable<MessageInitShape<typeof DeltaDiscoveryRequestSchema>["node"]>,
  own: boolean,
): Recorder {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
  });
  const { path, requestSerialize, responseDeserialize } = adsDefinition.DeltaAggregatedResources;
  const stream = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    new Metadata(),
    {},
  );
  const first = new Map<string, Buffer>();
  const changes: Buffer[] = [];
  const missing = new Set<string>();
  const { promise: connected, resolve, reject } = Promise.withResolvers<void>();
  const send = (request: MessageInitShape<typeof RequestSchema>) =>
    stream.write(Buffer.from(toBinary(RequestSchema, create(RequestSchema, request))));
  const ask = (typeUrl: string, names: readonly string[], rest: { node?: typeof node } = {}) => {
    missing.add(typeUrl);
    send({ typeUrl, resourceNamesSubscribe: [...names], ...rest });
  };
  stream.on("error", reject);
  stream.on("data", (bytes: Buffer) => {
    const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    const { typeUrl, nonce } = response;
    send({ typeUrl, responseNonce: nonce });
    if (first.has(typeUrl)) changes.push(bytes);
    else {
      first.set(typeUrl, bytes);
      if (typeUrl === typeUrls.cluster) ask(typeUrls.endpoint, endpointNames(response));
      if (typeUrl === typeUrls.listener) ask(typeUrls.route, routeNames(response));
    }
    missing.delete(typeUrl);
    if (missing.size === 0) resolve();
  });
  if (own) ask(typeUrls.runtime, ["fl"], { node });
  ask(typeUrls.cluster, ["*"], own ? {} : { node });
  ask(typeUrls.listener, ["*"]);
  return {
    recording: { first, changes },
    connected,
    close() {
      stream.cancel();
      client.close();
    },
  };
}

function endpointNames({ resources }: DeltaDiscoveryResponse): string[] {
  return resources.flatMap(({ resource }) => {
    const cluster = resource && anyUnpack(resource, ClusterSchema);
    return cluster?.clusterDiscoveryType.value === Discovery.EDS ? [cluster.name] : [];
  });
}

function routeNames({ resources }: DeltaDiscoveryResponse): string[] {
  const names = resources.flatMap(({ resource }) => {
    const listener = resource && anyUnpack(resource, ListenerSchema);
    const chains = [...(listener?.filterChains ?? [])];
    if (listener?.defaultFilterChain) chains.push(listener.defaultFilterChain);
    return chains.flatMap(({ filters }) =>
      filters.flatMap(({ configType }) => {
        const manager =
          configType.case === "typedConfig" && anyUnpack(configType.value, HttpConnectionManagerSchema);
        return manager && manager.routeSpecifier.case === "rds"
          ? [manager.routeSpecifier.value.routeConfigName]
          : [];
      }),
    );
  });
  return [...new Set(names)];
}
