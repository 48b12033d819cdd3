import type { MessageInitShape } from "@bufbuild/protobuf";
import type { OutlierDetectionSchema } from "../../envoy/generated/envoy/config/cluster/v3/outlier_detection_pb.js";
import type { OutlierDetection } from "../model/destination-policy.ts";
import { durationFromMs } from "./values.ts";

/** Success rate never ejects, as in Istio. @see envoy.config.cluster.v3.OutlierDetection */
export function buildOutliers(detection: OutlierDetection): MessageInitShape<typeof OutlierDetectionSchema> {
  const { consecutive5xx, consecutiveGatewayErrors, consecutiveLocalOriginFailures } = detection;
  return {
    enforcingSuccessRate: 0,
    ...(consecutive5xx !== undefined && {
      consecutive5xx,
      enforcingConsecutive5xx: consecutive5xx > 0 ? 100 : 0,
    }),
    ...(consecutiveGatewayErrors !== undefined && {
      consecutiveGatewayFailure: consecutiveGatewayErrors,
      enforcingConsecutiveGatewayFailure: consecutiveGatewayErrors > 0 ? 100 : 0,
    }),
    ...(detection.splitExternalLocalOriginErrors && {
      splitExternalLocalOriginErrors: true,
      ...(consecutiveLocalOriginFailures !== undefined && {
        consecutiveLocalOriginFailure: consecutiveLocalOriginFailures,
        enforcingConsecutiveLocalOriginFailure: consecutiveLocalOriginFailures > 0 ? 100 : 0,
      }),
    }),
    ...(detection.interval !== undefined && { interval: durationFromMs(detection.interval) }),
    ...(detection.baseEjectionTime !== undefined && {
      baseEjectionTime: durationFromMs(detection.baseEjectionTime),
    }),
    ...(detection.maxEjectionPercent !== undefined && { maxEjectionPercent: detection.maxEjectionPercent }),
  };
}
