import { defaultRetries, type HttpRoute } from "../model/route.ts";

const unchanged = { set: [], add: [], remove: [] };

/** Where a host without a route table sends its requests: to itself, with Istio's default retries and no timeout. */
export function defaultRoute(host: string, port: number): HttpRoute {
  const headers = { request: unchanged, response: unchanged };
  return {
    position: 0,
    delegate: undefined,
    cors: undefined,
    name: "",
    matches: [],
    headers,
    action: {
      kind: "forward",
      destinations: [{ host, port, subset: undefined, weight: 100, headers }],
      timeout: undefined,
      retries: defaultRetries,
      rewrite: undefined,
      mirrors: [],
      fault: undefined,
    },
  };
}
