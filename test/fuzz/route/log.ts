/** What Envoy says of each request or connection, a line each. */

/** Header that tells the pairs apart. */
export const pairHeader = "x-pair";

/** Operators of the log's format, in order. */
export const logFields = [
  `%REQ(${pairHeader})%`,
  "%ROUTE_NAME%",
  "%CEL(xds.virtual_host_name)%",
  "%UPSTREAM_CLUSTER_RAW%",
  "%UPSTREAM_HOST%",
  "%RESPONSE_CODE%",
  "%RESPONSE_CODE_DETAILS%",
  "%FILTER_CHAIN_NAME%",
];

export interface LogLine {
  readonly route: string;
  readonly virtualHost: string;
  readonly cluster: string;
  readonly upstream: string;
  readonly status: number;
  readonly details: string;
  readonly filterChain: string;
}

/** The lines of a log by pair; "" where Envoy writes `-`. */
export function readLines(text: string): ReadonlyMap<string, LogLine> {
  const lines = text.split("\n").filter((line) => line !== "");
  return new Map(
    lines.map((line) => {
      const [
        pair = "",
        route = "",
        virtualHost = "",
        cluster = "",
        upstream = "",
        status,
        details = "",
        filterChain = "",
      ] = line.split("\t").map((field) => (field === "-" ? "" : field));
      return [pair, { route, virtualHost, cluster, upstream, status: Number(status), details, filterChain }];
    }),
  );
}
