import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Probe } from "../container.ts";
import type { ProbeResult } from "./result.ts";

export type HttpGet = NonNullable<Probe["httpGet"]>;

/**
 * Asks by HTTP as the kubelet does: 200-399 passes, a redirect is not followed, certificates are not checked.
 *
 * @param host where the container listens; `httpGet.host` wins
 * @param port already resolved from a name
 */
export function probeHttp(get: HttpGet, host: string, port: number, timeout: number): Promise<ProbeResult> {
  const headers: Record<string, string> = {
    "user-agent": "kube-probe/1.32",
    accept: "*/*",
    connection: "close",
  };
  for (const { name, value } of get.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const secure = get.scheme === "HTTPS";
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const request = (secure ? requestHttps : requestHttp)({
    host: get.host || host,
    port,
    path: get.path || "/",
    headers,
    agent: false,
    signal: AbortSignal.timeout(timeout),
    ...(secure ? { rejectUnauthorized: false } : {}),
  });
  request.once("response", (response) => {
    response.resume();
    const status = response.statusCode ?? 0;
    const passed = status >= 200 && status < 400;
    resolve({ passed, message: `HTTP probe failed with statuscode: ${status}` });
  });
  request.once("error", ({ message }) => resolve({ passed: false, message: `HTTP probe: ${message}` }));
  request.end();
  return promise;
}
