/** The parts of a sidecar's bootstrap that make it report: fixed at its start, so the same for every proxy. */
import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  type StatsConfig,
  StatsConfigSchema,
  type StatsSink,
  StatsSinkSchema,
} from "../../envoy/generated/envoy/config/metrics/v3/stats_pb.js";
import { StatFullNameMatchInputSchema } from "../../envoy/generated/envoy/extensions/matching/common_inputs/stats/v3/stats_pb.js";
import {
  SinkConfig_ConversionActionSchema as ConversionSchema,
  SinkConfig_DropActionSchema as DropSchema,
  SinkConfigSchema,
} from "../../envoy/generated/envoy/extensions/stat_sinks/open_telemetry/v3/open_telemetry_pb.js";
import {
  type Matcher_MatcherList_FieldMatcher as FieldMatcher,
  Matcher_MatcherList_FieldMatcherSchema as FieldMatcherSchema,
  MatcherSchema,
  type Matcher_MatcherList_Predicate as Predicate,
  Matcher_MatcherList_PredicateSchema as PredicateSchema,
} from "../../envoy/generated/xds/type/matcher/v3/matcher_pb.js";
import { RegexMatcherSchema } from "../../envoy/generated/xds/type/matcher/v3/regex_pb.js";
import {
  type StringMatcher,
  StringMatcherSchema,
} from "../../envoy/generated/xds/type/matcher/v3/string_pb.js";
import { typed } from "./any.ts";
import {
  attemptsCounter,
  attemptsHistogram,
  failedGrpcStatuses,
  noAnswerFlags,
  shieldClusterPrefix,
} from "./attempt-log.ts";
import { nodeHeader, reportsPath, signalsCluster } from "./signals-cluster.ts";
import { statsPrefix } from "./telemetry.ts";

/** Stands for the node's id until the agent writes the bootstrap. */
export const nodePlaceholder = "FAIRLEAD_NODE_ID";

/** What a report says of the proxy's own workload, by its name on the wire. */
export const destinationMetrics = {
  status2xx: "destination.2xx",
  status3xx: "destination.3xx",
  status4xx: "destination.4xx",
  status5xx: "destination.5xx",
  /** HTTP status 200 and a gRPC status that is the server's failure. */
  failedGrpc: "destination.grpc",
  /** The application gave none. */
  noAnswer: "destination.none",
  other: "destination.other",
  /** Histogram of durations, milliseconds. */
  time: "destination.time",
} as const;

/** Statuses that a report tells one by one; the others of a class come as one. */
export const exactStatuses = [
  ...[200, 201, 202, 204, 301, 302, 303, 304, 307, 308],
  ...[400, 401, 403, 404, 405, 408, 409, 410, 412, 415, 422, 429],
  ...[500, 501, 502, 503, 504],
] as const;

/** What a report calls the answers of the proxy's own workload with one of {@link exactStatuses}. */
export const exactMetric = (status: number): string => `destination.${status}`;

/** Statistics of outbound clusters that a report holds, by their names in Envoy. */
export const clusterStatistics = {
  requests: "upstream_rq_completed",
  failed: "upstream_rq_5xx",
  time: "upstream_rq_time",
  connections: "upstream_cx_total",
} as const;

/** Statistics of a shield's composite cluster: its failed attempts that another followed, and those that none could. */
export const shieldRetries = "upstream_rq_retry";
export const shieldOverflow = "upstream_rq_retry_overflow";

/**
 * Where counters go each second: cumulative, so that a lost or repeated report is harmless; histograms hold what was
 * seen since the last.
 *
 * Of all statistics only those that a judge reads: Istio's series of the proxy's own workload summed by kind of
 * answer, and four of each outbound cluster in use; while a shield
 * is in use, its attempts under their own names. A report so has a kilobyte or two, whatever the number of series.
 *
 * @see envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig
 */
export function statsSinks(): StatsSink[] {
  return [
    create(StatsSinkSchema, {
      name: "envoy.stat_sinks.open_telemetry",
      configType: {
        case: "typedConfig",
        value: typed(SinkConfigSchema, {
          protocolSpecifier: {
            case: "httpService",
            value: {
              httpUri: {
                uri: `http://${signalsCluster}${reportsPath}`,
                httpUpstreamType: { case: "cluster", value: signalsCluster },
                timeout: create(DurationSchema, { seconds: 3n }),
              },
              requestHeadersToAdd: [{ header: { key: nodeHeader, value: nodePlaceholder } }],
            },
          },
          reportHistogramsAsDeltas: true,
          emitTagsAsAttributes: false,
          useTagExtractedName: false,
          customMetricConversions: create(MatcherSchema, {
            matcherType: { case: "matcherList", value: { matchers: reported() } },
          }),
        }),
      },
    }),
  ];
}

/** Which statistics are reported, and as what: the first that matches decides; what none matches keeps its name. */
function reported(): FieldMatcher[] {
  const requests = `${statsPrefix}.istio_requests_total.reporter.destination.`;
  const duration = `${statsPrefix}.istio_request_duration_milliseconds.reporter.destination.`;
  const clusters = "cluster.outbound";
  const shields = `cluster.${shieldClusterPrefix}`;
  const attempts = [attemptsCounter, attemptsHistogram].map((series) => `${statsPrefix}.${series}.`);
  /** By the three tags that end the name of Istio's series (`mesh/build/telemetry.ts`). */
  const answered = ({ code = "[0-9]*", grpc = "[0-9]*", flags = "[A-Za-z0-9,-]*" }) =>
    name({
      case: "safeRegex",
      value: create(RegexMatcherSchema, {
        engineType: { case: "googleRe2", value: {} },
        regex: `${requests.replaceAll(".", "\\.")}.*\\.response_code\\.${code}\\.grpc_response_status\\.${grpc}\\.response_flags\\.${flags}`,
      }),
    });
  const anyOf = (flags: string) => `(.*,)?(${flags})(,.*)?`;
  const suffixes = [...Object.values(clusterStatistics), shieldRetries, shieldOverflow].map((statistic) =>
    name({ case: "suffix", value: `;.${statistic}` }),
  );
  const prefixes = (values: readonly string[]) => values.map((value) => name({ case: "prefix", value }));
  return [
    drop(not(or(prefixes([requests, duration, clusters, shields, ...attempts])))),
    convert(name({ case: "prefix", value: duration }), destinationMetrics.time),
    // The client went away before an answer: it says nothing about the version.
    drop(answered({ code: "0", flags: anyOf("DC") })),
    byStatus(answered({ code: "5[0-9][0-9]" }), 5, destinationMetrics.status5xx),
    convert(answered({ grpc: `(${failedGrpcStatuses.join("|")})` }), destinationMetrics.failedGrpc),
    convert(answered({ flags: anyOf(noAnswerFlags.join("|")) }), destinationMetrics.noAnswer),
    byStatus(answered({ code: "2[0-9][0-9]" }), 2, destinationMetrics.status2xx),
    byStatus(answered({ code: "3[0-9][0-9]" }), 3, destinationMetrics.status3xx),
    byStatus(answered({ code: "4[0-9][0-9]" }), 4, destinationMetrics.status4xx),
    convert(name({ case: "prefix", value: requests }), destinationMetrics.other),
    drop(not(or([...suffixes, ...prefixes(attempts)]))),
  ];
}

/** A predicate on the whole name of a statistic, tags and their values included. */
function name(matchPattern: StringMatcher["matchPattern"]): Predicate {
  return create(PredicateSchema, {
    matchType: {
      case: "singlePredicate",
      value: {
        input: { name: "name", typedConfig: typed(StatFullNameMatchInputSchema, {}) },
        matcher: { case: "valueMatch", value: create(StringMatcherSchema, { matchPattern }) },
      },
    },
  });
}

function or(predicate: Predicate[]): Predicate {
  return create(PredicateSchema, { matchType: { case: "orMatcher", value: { predicate } } });
}

function not(predicate: Predicate): Predicate {
  return create(PredicateSchema, { matchType: { case: "notMatcher", value: predicate } });
}

function drop(predicate: Predicate): FieldMatcher {
  return rule(predicate, "drop", typed(DropSchema, {}));
}

function convert(predicate: Predicate, metricName: string): FieldMatcher {
  return rule(predicate, "convert", typed(ConversionSchema, { metricName }));
}

/** What matches by its exact status, and as `metricName` where that is not one of the exact ones. */
function byStatus(predicate: Predicate, hundred: number, metricName: string): FieldMatcher {
  const matchers = exactStatuses
    .filter((status) => Math.floor(status / 100) === hundred)
    .map((status) =>
      convert(name({ case: "contains", value: `.response_code.${status}.` }), exactMetric(status)),
    );
  const matcher = create(MatcherSchema, {
    matcherType: { case: "matcherList", value: { matchers } },
    onNoMatch: { onMatch: action("convert", typed(ConversionSchema, { metricName })) },
  });
  return create(FieldMatcherSchema, { predicate, onMatch: { onMatch: { case: "matcher", value: matcher } } });
}

function rule(predicate: Predicate, what: string, typedConfig: ReturnType<typeof typed>): FieldMatcher {
  return create(FieldMatcherSchema, { predicate, onMatch: { onMatch: action(what, typedConfig) } });
}

function action(what: string, typedConfig: ReturnType<typeof typed>) {
  return { case: "action", value: { name: what, typedConfig } } as const;
}

/** What ends the cluster's name in its statistics (`alt_stat_name`), so that the dots of a host stay inside it. */
export const clusterStatSuffix = ";";

/**
 * Which statistics exist, and how they are labelled.
 *
 * Only what fairlead reads or an operator needs first: Istio's series, the attempts of outbound clusters,
 * the proxy's own health. Everything else is never created, which keeps a proxy with 500 services small.
 */
export function statsConfig(): StatsConfig {
  const prefixes = [
    `${statsPrefix}.`,
    "server.live",
    "server.uptime",
    "server.state",
    "server.memory",
    "cluster_manager.cds",
    "listener_manager.lds",
    "listener_manager.workers_started",
    "control_plane.",
    "http.inbound",
    "http.outbound",
    "tcp.inbound",
  ];
  return create(StatsConfigSchema, {
    // Envoy's own tag rules would end a cluster's name at its first dot.
    useAllDefaultTags: false,
    statsTags: [
      { tagName: "cluster_name", tagValue: { case: "regex", value: "^cluster\\.((.+?);\\.)" } },
      { tagName: "response_code_class", tagValue: { case: "regex", value: "_rq(_(\\dxx))$" } },
      { tagName: "http_conn_manager_prefix", tagValue: { case: "regex", value: "^http\\.(([^.]+)\\.)" } },
    ],
    statsMatcher: {
      statsMatcher: {
        case: "inclusionList",
        value: {
          patterns: [
            ...prefixes.map((prefix) => ({ matchPattern: { case: "prefix" as const, value: prefix } })),
            {
              matchPattern: {
                case: "safeRegex" as const,
                value: {
                  regex:
                    "cluster\\.outbound.*;\\.(upstream_rq_(completed|5xx|time|total|active)|upstream_cx_(active|connect_fail|total)|membership_(healthy|total))",
                },
              },
            },
            {
              matchPattern: {
                case: "safeRegex" as const,
                value: { regex: "cluster\\.shield\\|.*;\\.upstream_rq_retry(_overflow|_success)?" },
              },
            },
            { matchPattern: { case: "contains" as const, value: "rbac" } },
            { matchPattern: { case: "contains" as const, value: "jwt_authn" } },
          ],
        },
      },
    },
  });
}
