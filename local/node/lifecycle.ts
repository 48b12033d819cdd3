import type { Milliseconds } from "../../lib/units.ts";
import type { LifecycleHandler } from "./container.ts";
import { probeExec } from "./probe/exec.ts";
import { probeHttp } from "./probe/http.ts";
import type { ProbeResult } from "./probe/result.ts";
import { type ProbeTarget, resolvePort } from "./probe/run.ts";

/**
 * Runs a postStart or preStop handler, for `timeout` milliseconds at most. Never rejects.
 *
 * @see Lifecycle in the core/v1 API; `tcpSocket` is not supported there either
 */
export async function runHandler(
  { httpGet, exec, sleep }: LifecycleHandler,
  target: ProbeTarget,
  timeout: Milliseconds,
): Promise<ProbeResult> {
  try {
    if (httpGet)
      return await probeHttp(httpGet, target.podIp, resolvePort(httpGet.port, target.container), timeout);
    if (exec) return await probeExec(exec.command ?? [], target, timeout);
    if (sleep) await new Promise((resolve) => setTimeout(resolve, Math.min(sleep.seconds * 1000, timeout)));
    return { passed: true, message: "" };
  } catch (error) {
    return { passed: false, message: error instanceof Error ? error.message : String(error) };
  }
}
