import type { Pod } from "../../api/core.ts";

/** What the downward API knows of a pod beside its object: addresses are the runner's, before the status has them. */
export interface PodPlace {
  readonly podIp: string;
  readonly hostIp: string;
}

/**
 * The value of `fieldRef.fieldPath`; undefined for a path that the API does not know.
 *
 * A whole map is printed as the downward API prints it: one `key="escaped value"` a line, sorted.
 */
export function readField(pod: Pod, fieldPath: string, { podIp, hostIp }: PodPlace): string | undefined {
  const { name, namespace = "", uid = "", labels = {}, annotations = {} } = pod.metadata;
  const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(fieldPath);
  if (subscript) {
    const values = subscript[1] === "labels" ? labels : annotations;
    return Object.entries(values).find(([key]) => key === subscript[2])?.[1] ?? "";
  }
  switch (fieldPath) {
    case "metadata.name":
      return name;
    case "metadata.namespace":
      return namespace;
    case "metadata.uid":
      return uid;
    case "metadata.labels":
      return printMap(labels);
    case "metadata.annotations":
      return printMap(annotations);
    case "spec.nodeName":
      return pod.spec?.nodeName ?? "";
    case "spec.serviceAccountName":
      return pod.spec?.serviceAccountName ?? "default";
    case "status.podIP":
    case "status.podIPs":
      return podIp;
    case "status.hostIP":
    case "status.hostIPs":
      return hostIp;
    default:
      return undefined;
  }
}

function printMap(values: Readonly<Record<string, string>>): string {
  const lines = Object.entries(values).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return lines.sort().join("\n");
}
