import { existsSync, readFileSync } from "node:fs";
import { PodKind } from "../../api/core.ts";
import type { Client } from "../../kube/contract.ts";
import { ports } from "../../mesh/agent/bootstrap.ts";
import { request } from "../../mesh/agent/http.ts";
import { type Running, readConfigDump, readRuntimeLayer } from "../../mesh/debug/running.ts";
import { UsageError } from "../failure.ts";

/** What one Envoy runs. */
export interface EnvoyState {
  readonly running: Running;
  /** Its runtime layer `fl`; undefined where only a saved dump was read. */
  readonly runtime: ReadonlyMap<string, string> | undefined;
}

/** Milliseconds that a dump may take. */
const timeout = 20_000;

/**
 * Asks a pod's Envoy what it runs, by its admin port. That is the pod's own loopback: reachable from here where pods are
 * processes of this machine on loopback addresses, else by a forwarded port or from a saved page.
 *
 * @param from `http://HOST:PORT` of the admin, or a file with its `/config_dump?include_eds`; default: the pod's
 * @throws Error, UsageError that say how to reach it
 */
export async function readEnvoy(
  client: Client,
  namespace: string,
  pod: string,
  from: string | undefined,
): Promise<EnvoyState> {
  if (from !== undefined && !from.startsWith("http://")) return readSaved(from);
  const forward = `forward its port (\`kubectl -n ${namespace} port-forward ${pod} ${ports.admin}\`) and give \`--envoy http://127.0.0.1:${ports.admin}\`, or give a file with its /config_dump?include_eds`;
  const admin = from ?? (await adminOf(client, namespace, pod, forward));
  const at = URL.parse(admin);
  if (at === null) throw new UsageError(`--envoy \`${admin}\`: give \`http://HOST:PORT\` or a file`);
  const get = async (path: string): Promise<string> => {
    const where = { host: at.hostname, port: Number(at.port || 80), path, timeout };
    const answer = await request(where).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`the admin page of Envoy at ${at.origin} does not answer (${why}); ${forward}`, {
        cause: error,
      });
    });
    if (answer.status !== 200)
      throw new Error(`${at.origin}${path} answered ${answer.status}: is it Envoy's?`);
    return answer.body;
  };
  const dump = await get("/config_dump?include_eds");
  return { running: readConfigDump(dump), runtime: readRuntimeLayer(await get("/runtime"), "fl") };
}

function readSaved(file: string): EnvoyState {
  if (!existsSync(file)) throw new UsageError(`--envoy \`${file}\`: there is no such file`);
  return { running: readConfigDump(readFileSync(file, "utf8")), runtime: undefined };
}

async function adminOf(client: Client, namespace: string, pod: string, forward: string): Promise<string> {
  const found = await client.get(PodKind, namespace, pod);
  if (found === undefined) throw new Error(`there is no pod \`${pod}\` in namespace \`${namespace}\``);
  const ip = found.status?.podIP ?? "";
  if (!ip.startsWith("127."))
    throw new UsageError(
      `the admin page of Envoy in ${namespace}/${pod} listens on the pod's own loopback, which is not reachable from here: ${forward}`,
    );
  return `http://${ip}:${ports.admin}`;
}
