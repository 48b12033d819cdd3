import { isIP } from "node:net";
import type { SidecarEgress, SidecarIngress } from "../../api/generated/sidecars.ts";
import type { Sidecar } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type { TerminatingTls } from "../model/gateway.ts";
import { type Protocol, protocolOf } from "../model/service.ts";
import type {
  ApplicationEndpoint,
  Capture,
  EgressHost,
  EgressListener,
  IngressListener,
  SidecarRule,
} from "../model/sidecar.ts";
import { translatePool } from "./connection-pool.ts";
import { translateServerTls } from "./gateway.ts";
import { type Report, reportOn } from "./problem.ts";

export interface TranslatedSidecar {
  readonly rule: SidecarRule;
  readonly problems: readonly Problem[];
}

/** A Sidecar by itself: a listener that cannot be understood is left out. @see networking.istio.io Sidecar */
export function translateSidecar(object: Sidecar): TranslatedSidecar {
  const problems: Problem[] = [];
  const report = reportOn(refOf(object), problems).at("spec");
  const { namespace = "default", creationTimestamp = "" } = object.metadata;
  const { ingress = [], egress = [], outboundTrafficPolicy, workloadSelector } = object.spec;
  const { inboundConnectionPool: pool } = object.spec;
  if (outboundTrafficPolicy?.egressProxy !== undefined)
    report.at("outboundTrafficPolicy").problem("egressProxy", "is not carried out yet");
  const mode = outboundTrafficPolicy?.mode;
  const rule: SidecarRule = {
    source: refOf(object),
    namespace,
    selector: workloadSelector?.labels,
    egress:
      egress.length === 0
        ? undefined
        : egress.flatMap((one, index) => translateEgress(one, report.at("egress", index)) ?? []),
    ingress:
      ingress.length === 0
        ? undefined
        : ingress.flatMap((one, index) => translateIngress(one, report.at("ingress", index)) ?? []),
    inboundPool: pool && translatePool(pool, report.at("inboundConnectionPool")),
    outboundTrafficPolicy: mode === "REGISTRY_ONLY" || mode === "ALLOW_ANY" ? mode : undefined,
    createdAt: creationTimestamp,
  };
  return { rule, problems };
}

function translateEgress(
  { hosts, port, bind, captureMode }: SidecarEgress,
  report: Report,
): EgressListener | undefined {
  const read = hosts.flatMap((host, position) => {
    const one = readHost(host);
    if (one === undefined)
      report.at("hosts").problem(String(position), `\`${host}\` is not of the form namespace/host`);
    return one === undefined || one === "none" ? [] : one;
  });
  const capture = captures[captureMode ?? "DEFAULT"];
  const listener = { hosts: read, port: undefined, bind: undefined, capture };
  if (port === undefined) {
    if (bind)
      report.problem(
        "bind",
        "needs a port beside it: the hosts count for every port, at their own addresses",
      );
    return listener;
  }
  const address = readBind(bind, report);
  const found = readPort(port, report.at("port"));
  return address === undefined || found === undefined
    ? undefined
    : { ...listener, port: found, bind: address.ip };
}

function translateIngress(
  { port, bind, captureMode, defaultEndpoint, connectionPool, tls }: SidecarIngress,
  report: Report,
): IngressListener | undefined {
  const address = readBind(bind, report);
  const found = readPort(port, report.at("port"));
  const endpoint = readEndpoint(defaultEndpoint, report);
  if (address === undefined || found === undefined || endpoint === "unknown") return undefined;
  return {
    port: found,
    bind: address.ip,
    capture: captures[captureMode ?? "DEFAULT"],
    endpoint,
    pool: connectionPool && translatePool(connectionPool, report.at("connectionPool")),
    tls: tls && readTls(tls, report.at("tls")),
  };
}

const captures: Readonly<Record<"DEFAULT" | "IPTABLES" | "NONE", Capture>> = {
  DEFAULT: "default",
  IPTABLES: "iptables",
  NONE: "none",
};

/** undefined where the listener has to be left out. */
function readBind(bind: string | undefined, report: Report): { readonly ip: string | undefined } | undefined {
  if (!bind) return { ip: undefined };
  if (isIP(bind) !== 0) return { ip: bind };
  const found = bind.startsWith("unix:")
    ? "a Unix socket is not carried out yet"
    : `\`${bind}\` is no address`;
  report.problem("bind", `${found}, an IP address is needed: the listener is left out`);
  return undefined;
}

function readPort(
  { number, protocol = "", name = "" }: NonNullable<SidecarEgress["port"]>,
  report: Report,
): { readonly number: number; readonly protocol: Protocol } | undefined {
  if (!number) {
    report.problem("number", "a port from 1 to 65535 is needed: the listener is left out");
    return undefined;
  }
  const written = protocol.toUpperCase();
  if (written === "HTTP_PROXY" || written === "UDP") {
    report.problem("protocol", `\`${protocol}\` is not carried out yet: the listener is left out`);
    return undefined;
  }
  const appProtocol = protocol === "" ? undefined : protocol;
  return { number, protocol: protocolOf({ number, name, appProtocol, transport: undefined }) };
}

/** `127.0.0.1:8080`, `0.0.0.0:8080` (the pod's own address), `unix:///path`; nothing: the port itself. */
function readEndpoint(
  written: string | undefined,
  report: Report,
): ApplicationEndpoint | undefined | "unknown" {
  if (!written) return undefined;
  if (written.startsWith("unix:///")) return { kind: "socket", path: written.slice("unix://".length) };
  const colon = written.lastIndexOf(":");
  const [host, port] = [written.slice(0, colon), Number(written.slice(colon + 1))];
  const kind = endpointKinds.get(host);
  if (kind !== undefined && Number.isInteger(port) && port > 0 && port < 65_536) return { kind, port };
  report.problem(
    "defaultEndpoint",
    `\`${written}\` is none of 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT, unix:///PATH: the listener is left out`,
  );
  return "unknown";
}

const endpointKinds: ReadonlyMap<string, "loopback" | "instance"> = new Map([
  ["127.0.0.1", "loopback"],
  ["[::1]", "loopback"],
  ["0.0.0.0", "instance"],
  ["[::]", "instance"],
]);

/** A sidecar's own certificates are files of its pod. */
function readTls(tls: NonNullable<SidecarIngress["tls"]>, report: Report): TerminatingTls | undefined {
  const read = translateServerTls(tls, report);
  if (read === undefined) return undefined;
  if (read.mode !== "simple" && read.mode !== "mutual") {
    report.problem("mode", `\`${tls.mode ?? "PASSTHROUGH"}\` is none of SIMPLE, MUTUAL: there is no TLS`);
    return undefined;
  }
  if (read.files !== undefined) return read;
  report.problem(
    "credentialName",
    "is not carried out yet: name files of the pod (serverCertificate, privateKey)",
  );
  return undefined;
}

/** `ns/host`, `./host` (the pod's own namespace), a `*` before the slash (any), `~/*` (none). */
function readHost(written: string): EgressHost | "none" | undefined {
  const slash = written.indexOf("/");
  const [from, host] = [written.slice(0, slash), written.slice(slash + 1).toLowerCase()];
  if (slash <= 0 || host === "") return undefined;
  if (from === "~") return "none";
  return { host, namespace: from === "*" ? undefined : from };
}
