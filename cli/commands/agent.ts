import { runAgent } from "../../mesh/agent/run.ts";

/**
 * `fairlead agent`: the sidecar process that the injector adds to a pod. Ends with the pod.
 *
 * This file must import nothing else: each pod pays for it.
 *
 * @returns the exit code
 */
export function agent(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  return runAgent(env, argv);
}
