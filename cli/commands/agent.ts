import { loadAgent } from "../../mesh/agent/start.ts";

/**
 * `fairlead agent`: the sidecar process that the injector adds to a pod, which ends with the pod; `fairlead agent iptables`:
 * its init container.
 *
 * This file must import nothing else: each pod pays for it.
 *
 * @returns the exit code
 */
export async function agent(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const run = await loadAgent(argv);
  return run(env);
}
