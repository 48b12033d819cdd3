import type { Sidecar } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type { EgressHost, SidecarRule } from "../model/sidecar.ts";
import { reportOn } from "./problem.ts";

export interface TranslatedSidecar {
  readonly rule: SidecarRule;
  readonly problems: readonly Problem[];
}

/** A Sidecar by itself. @see networking.istio.io Sidecar */
export function translateSidecar(object: Sidecar): TranslatedSidecar {
  const problems: Problem[] = [];
  const report = reportOn(refOf(object), problems).at("spec");
  const { namespace = "default", creationTimestamp = "" } = object.metadata;
  const { ingress, egress, outboundTrafficPolicy, workloadSelector, inboundConnectionPool } = object.spec;
  if (ingress !== undefined && ingress.length > 0)
    report.problem("ingress", "is not carried out yet: the ports of Services and containers are served");
  if (inboundConnectionPool !== undefined) report.problem("inboundConnectionPool", "is not carried out yet");
  if (outboundTrafficPolicy?.egressProxy !== undefined)
    report.at("outboundTrafficPolicy").problem("egressProxy", "is not carried out yet");
  const hosts = (egress ?? []).flatMap(({ hosts: written, port, bind, captureMode }, index) => {
    const at = report.at("egress", index);
    for (const [field, value] of Object.entries({ port, bind })) {
      if (value !== undefined)
        at.problem(field, "is not carried out yet: the hosts count for every listener");
    }
    if (captureMode !== undefined && captureMode !== "DEFAULT")
      at.problem(
        "captureMode",
        `\`${captureMode}\` is not carried out yet: connections come in as to any pod`,
      );
    return written.flatMap((host, position) => {
      const read = readHost(host);
      if (read === undefined)
        at.at("hosts").problem(String(position), `\`${host}\` is not of the form namespace/host`);
      return read === undefined || read === "none" ? [] : read;
    });
  });
  const mode = outboundTrafficPolicy?.mode;
  const rule: SidecarRule = {
    source: refOf(object),
    namespace,
    selector: workloadSelector?.labels,
    egress: egress === undefined || egress.length === 0 ? undefined : hosts,
    outboundTrafficPolicy: mode === "REGISTRY_ONLY" || mode === "ALLOW_ANY" ? mode : undefined,
    createdAt: creationTimestamp,
  };
  return { rule, problems };
}

/** `ns/host`, `./host` (the pod's own namespace), a `*` before the slash (any), `~/*` (none). */
function readHost(written: string): EgressHost | "none" | undefined {
  const slash = written.indexOf("/");
  const [from, host] = [written.slice(0, slash), written.slice(slash + 1).toLowerCase()];
  if (slash <= 0 || host === "") return undefined;
  if (from === "~") return "none";
  return { host, namespace: from === "*" ? undefined : from };
}
