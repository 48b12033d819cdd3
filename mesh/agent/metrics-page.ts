/** Istio's series and the attempts of shields, whose names users' queries and Flagger's spell without Envoy's prefix. */
const ownSeries =
  /^((?:# (?:TYPE|HELP) )?)envoy_(?:\w+?_)?(fairlead_attempt(?:s_total|_duration_milliseconds)|istio_(?:requests_total|(?:request|response)_(?:duration_milliseconds|bytes|messages_total)|tcp_\w+|build))/gm;

/** Envoy's Prometheus page with Istio's series and ours under their own names. */
export function renameSeries(page: string): string {
  return page.replace(ownSeries, "$1$2");
}

/** Joins pages; a part that lacks its last line end gets one. */
export function mergePages(...pages: readonly string[]): string {
  return pages.map((page) => (page === "" || page.endsWith("\n") ? page : `${page}\n`)).join("");
}
