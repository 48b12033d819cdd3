import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function bidirectional(path: string): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream: true,
    responseStream: true,
    // Bytes in, bytes out: answers are encoded once for all streams, requests are read by hand.
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
}

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

/** The aggregated discovery service over raw bytes. @see envoy.service.discovery.v3.AggregatedDiscoveryService */
export const adsDefinition = {
  StreamAggregatedResources: bidirectional(`${service}/StreamAggregatedResources`),
  DeltaAggregatedResources: bidirectional(`${service}/DeltaAggregatedResources`),
} satisfies ServiceDefinition;
