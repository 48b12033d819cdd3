import { create } from "@bufbuild/protobuf";
import {
  type RetryPolicy,
  RetryPolicySchema,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { PreviousHostsPredicateSchema } from "../../envoy/generated/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { PreviousPrioritiesConfigSchema } from "../../envoy/generated/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import type { Retries } from "../model/route.ts";
import { typed } from "./any.ts";
import { durationFromMs } from "./values.ts";

/**
 * Retries go to another host than those tried, which is looked for up to 5 times, as Istio asks.
 *
 * @param hashed whether a sign of the request chooses the host: then no other is right
 * @see envoy.config.route.v3.RetryPolicy
 */
export function buildRetries(retries: Retries, hashed: boolean): RetryPolicy {
  const { attempts, on, statusCodes, perTryTimeout, baseInterval, otherLocalities, sameHosts } = retries;
  return create(RetryPolicySchema, {
    retryOn: on,
    numRetries: attempts,
    retriableStatusCodes: [...statusCodes],
    ...(!hashed &&
      !sameHosts && {
        retryHostPredicate: [
          {
            name: "envoy.retry_host_predicates.previous_hosts",
            configType: { case: "typedConfig", value: typed(PreviousHostsPredicateSchema, {}) },
          },
        ],
        hostSelectionRetryMaxAttempts: 5n,
      }),
    ...(otherLocalities && {
      retryPriority: {
        name: "envoy.retry_priorities.previous_priorities",
        configType: {
          case: "typedConfig",
          value: typed(PreviousPrioritiesConfigSchema, { updateFrequency: 2 }),
        },
      },
    }),
    ...(perTryTimeout !== undefined && { perTryTimeout: durationFromMs(perTryTimeout) }),
    ...(baseInterval !== undefined && { retryBackOff: { baseInterval: durationFromMs(baseInterval) } }),
  });
}
