import { type Pod, PodKind } from "../../api/core.ts";
import type { Client } from "../../kube/contract.ts";
import { resourcePath, withQuery } from "../../kube/path.ts";
import { sidecarName } from "../../local/node/address.ts";
import { type denialFields, denialMark } from "../../mesh/build/denial-log.ts";

/** A request that a sidecar refused, as its log tells; of a connection without HTTP the parts of HTTP are empty. */
export type Denial = {
  readonly [field in Exclude<keyof typeof denialFields, "status">]: string;
} & {
  /** 0 where a connection was closed. */
  readonly status: number;
  readonly namespace: string;
  readonly pod: string;
};

/** Denials of some sidecars, oldest first, and the pods whose logs could not be read, with the reason. */
export interface FoundDenials {
  readonly denials: readonly Denial[];
  readonly unread: readonly { readonly pod: string; readonly reason: string }[];
}

/** So many logs are read at a time. */
const atOnce = 8;

/**
 * Reads the denials in the logs of all sidecars of a namespace.
 *
 * @param namespace undefined: of all
 * @param lines how many of each log's last lines are looked through
 */
export async function readDenials(
  client: Client,
  namespace: string | undefined,
  lines: number,
): Promise<FoundDenials> {
  const { items } = await client.list(PodKind, namespace === undefined ? {} : { namespace });
  const meshed = items.filter(hasSidecar);
  const denials: Denial[] = [];
  const unread: { pod: string; reason: string }[] = [];
  const readNext = async (): Promise<void> => {
    for (let pod = meshed.pop(); pod !== undefined; pod = meshed.pop()) {
      const { name, namespace: of = "default" } = pod.metadata;
      try {
        const text = await client.text(
          withQuery(`${resourcePath(PodKind, of, name)}/log`, {
            container: sidecarName,
            tailLines: String(lines),
          }),
        );
        denials.push(...text.split("\n").flatMap((line) => readDenial(line, of, name) ?? []));
      } catch (error) {
        unread.push({ pod: `${of}/${name}`, reason: error instanceof Error ? error.message : String(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, readNext));
  return { denials: denials.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)), unread };
}

function hasSidecar({ spec }: Pod): boolean {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].some(
    ({ name }) => name === sidecarName,
  );
}

/** The denial that a line of a sidecar's log tells of; undefined for the proxy's other words. */
export function readDenial(line: string, namespace: string, pod: string): Denial | undefined {
  if (!line.startsWith("{") || !line.includes(denialMark.value)) return undefined;
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof entry !== "object" || entry === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(entry));
  if (fields.get(denialMark.key) !== denialMark.value) return undefined;
  const text = (field: keyof typeof denialFields): string => {
    const value = fields.get(field);
    return typeof value === "string" ? value : "";
  };
  return {
    time: text("time"),
    namespace,
    pod,
    requestId: text("requestId"),
    method: text("method"),
    path: text("path"),
    host: text("host"),
    status: Number(fields.get("status") ?? 0),
    details: text("details"),
    principal: text("principal"),
    source: text("source"),
    client: text("client"),
    destination: text("destination"),
  };
}
