import type { IstioServer, IstioServerTls } from "../../api/generated/gateways.ts";
import type { IstioGateway } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import {
  endsTls,
  type Gateway,
  type GatewayServer,
  type ServerHost,
  type ServerTls,
  type TerminatingTls,
  type TlsVersion,
} from "../model/gateway.ts";
import { type Report, reportOn } from "./problem.ts";

export interface TranslatedGateway {
  readonly gateway: Gateway;
  readonly problems: readonly Problem[];
}

const protocols: ReadonlyMap<string, GatewayServer["protocol"]> = new Map([
  ["HTTP", "http"],
  ["HTTP2", "http"],
  ["GRPC", "http"],
  ["GRPC-WEB", "http"],
  ["HTTP_PROXY", "http"],
  ["HTTPS", "https"],
  ["TLS", "tls"],
  ["TCP", "tcp"],
  ["MONGO", "tcp"],
  ["MYSQL", "tcp"],
  ["REDIS", "tcp"],
]);

const modes: ReadonlyMap<string, TerminatingTls["mode"]> = new Map([
  ["SIMPLE", "simple"],
  ["MUTUAL", "mutual"],
  ["OPTIONAL_MUTUAL", "optional-mutual"],
  ["ISTIO_MUTUAL", "istio-mutual"],
]);

/** Istio's Gateway by itself: a server that cannot be understood is left out. @see networking.istio.io Gateway */
export function translateGateway(object: IstioGateway): TranslatedGateway {
  const problems: Problem[] = [];
  const source = refOf(object);
  const report = reportOn(source, problems).at("spec");
  const { name, namespace = "default", creationTimestamp = "" } = object.metadata;
  const id = `${namespace}/${name}`;
  const servers = (object.spec.servers ?? []).flatMap((server, position) => {
    const translated = translateServer(server, position, id, namespace, report.at("servers", position));
    return translated ?? [];
  });
  const gateway: Gateway = {
    source,
    id,
    namespace,
    name,
    className: undefined,
    selector: object.spec.selector ?? {},
    ownNamespaceOnly: false,
    servers,
    createdAt: creationTimestamp,
  };
  return { gateway, problems };
}

function translateServer(
  { port, hosts, bind, tls, name }: IstioServer,
  position: number,
  id: string,
  namespace: string,
  report: Report,
): GatewayServer | undefined {
  const protocol = protocols.get(port.protocol.toUpperCase());
  if (protocol === undefined) {
    const allowed = [...protocols.keys()].join(", ");
    report
      .at("port")
      .problem("protocol", `\`${port.protocol}\` is none of ${allowed}; the server is left out`);
    return undefined;
  }
  if (bind?.startsWith("unix:") && !/^unix:\/\/[/@]./.test(bind)) {
    report.problem("bind", `\`${bind}\` is none of unix:///PATH, unix://@NAME; the server is left out`);
    return undefined;
  }
  const secure = protocol === "https" || protocol === "tls";
  if (secure && tls === undefined) {
    report.problem("tls", `${port.protocol} needs tls settings; the server is left out`);
    return undefined;
  }
  const needsTls = secure || (protocol === "tcp" && tls?.mode !== undefined);
  const read = needsTls && tls ? translateServerTls(tls, report.at("tls")) : undefined;
  if (needsTls && read === undefined) return undefined;
  const passes = protocol === "https" && read !== undefined && !endsTls(read);
  return {
    position,
    name: port.name || name || `${port.protocol.toLowerCase()}-${port.number}`,
    port: port.number,
    protocol: passes || (protocol === "tcp" && read !== undefined) ? "tls" : protocol,
    bind: bind || undefined,
    hosts: hosts.map((host) => readHost(host, namespace)),
    redirectToHttps: protocol === "http" && tls?.httpsRedirect === true,
    tls: read,
    routeId: id,
    isolated: false,
  };
}

/** `ns/host`, `./host` (the Gateway's own namespace), a `*` before the slash and plain `host` (any). */
function readHost(written: string, own: string): ServerHost {
  const slash = written.indexOf("/");
  const from = slash < 0 ? "*" : written.slice(0, slash);
  const host = written.slice(slash + 1).toLowerCase();
  return { host, namespace: from === "*" ? undefined : from === "." ? own : from };
}

/** How a server ends TLS, or passes it on; undefined where it cannot be understood. @see networking.istio.io ServerTLSSettings */
export function translateServerTls(tls: IstioServerTls, report: Report): ServerTls | undefined {
  // PASSTHROUGH is the first value of the field's enumeration, so what it means when it is not there.
  const written = tls.mode ?? "PASSTHROUGH";
  if (written === "PASSTHROUGH") return { mode: "passthrough" };
  if (written === "AUTO_PASSTHROUGH") return { mode: "auto-passthrough" };
  const mode = modes.get(written);
  if (mode === undefined) {
    report.problem("mode", `\`${written}\` is not carried out yet; the server is left out`);
    return undefined;
  }
  const names = tls.credentialNames ?? (tls.credentialName ? [tls.credentialName] : []);
  const files = readFiles(tls);
  if (mode !== "istio-mutual" && names.length === 0 && !files) {
    report.problem(
      "credentialName",
      `mode ${written} needs a certificate: credentialName, or serverCertificate and privateKey`,
    );
    return undefined;
  }
  const ca = tls.caCertCredentialName;
  return {
    mode,
    credentials:
      mode === "istio-mutual" ? [] : names.map((name) => ({ namespace: undefined, name: plainName(name) })),
    caCredential: ca ? { namespace: undefined, name: plainName(ca) } : undefined,
    files: names.length === 0 ? files : undefined,
    subjectAltNames: tls.subjectAltNames ?? [],
    certificateHashes: tls.verifyCertificateHash ?? [],
    certificateSpki: tls.verifyCertificateSpki ?? [],
    minVersion: versionOf(tls.minProtocolVersion),
    maxVersion: versionOf(tls.maxProtocolVersion),
    cipherSuites: tls.cipherSuites ?? [],
  };
}

/** Certificates that stand in the proxy's own files: one, or one a key type in `tlsCertificates`. */
function readFiles(tls: IstioServerTls): TerminatingTls["files"] {
  const written = tls.tlsCertificates ?? [tls];
  const certificates = written.flatMap(({ serverCertificate, privateKey }) =>
    serverCertificate && privateKey ? [{ certificate: serverCertificate, key: privateKey }] : [],
  );
  if (certificates.length === 0) return undefined;
  const roots = tls.caCertificates ?? written.find(({ caCertificates }) => caCertificates)?.caCertificates;
  return { certificates, roots, revoked: tls.caCrl };
}

/** `kubernetes://name` is the same as `name`. */
function plainName(name: string): string {
  return name.replace(/^kubernetes:\/\//, "");
}

function versionOf(written: IstioServerTls["minProtocolVersion"]): TlsVersion | undefined {
  const versions: Readonly<Record<string, TlsVersion>> = {
    TLSV1_0: "1.0",
    TLSV1_1: "1.1",
    TLSV1_2: "1.2",
    TLSV1_3: "1.3",
  };
  return written && versions[written];
}
