import type { ServiceDefinition } from "@grpc/grpc-js";
import { rawMethod } from "./raw-method.ts";

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
const streams = { requestStream: true, responseStream: true };

/** The aggregated discovery service over raw bytes. @see envoy.service.discovery.v3.AggregatedDiscoveryService */
export const adsDefinition = {
  StreamAggregatedResources: rawMethod(`${service}/StreamAggregatedResources`, streams),
  DeltaAggregatedResources: rawMethod(`${service}/DeltaAggregatedResources`, streams),
} satisfies ServiceDefinition;
