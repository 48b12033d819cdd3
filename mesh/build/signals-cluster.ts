/** Where proxies tell of themselves. Without imports: the thread that takes it has nothing else to load. */

/** Cluster of every bootstrap to which reports and attempts go, by OTLP over HTTP/1.1. */
export const signalsCluster = "fairlead-signals";
/** Paths under which they arrive. */
export const reportsPath = "/v1/metrics";
export const attemptsPath = "/v1/logs";
/** Header in which a report says whose it is; the proxy's certificate must prove it. */
export const nodeHeader = "x-fairlead-node";
