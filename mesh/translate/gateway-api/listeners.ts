import type { GatewayListener } from "../../../api/generated/gateway-api-gateways.ts";
import type { Gateway as GatewayObject } from "../../../api/kinds.ts";
import { type ResourceRef, refOf } from "../../../api/resource.ts";
import { type Credential, credentialFault, refusal, rootsFault } from "../../model/credential.ts";
import {
  type CredentialRef,
  endsTls,
  type Gateway,
  type GatewayServer,
  type TerminatingTls,
} from "../../model/gateway.ts";
import {
  condition,
  gatewayGroup,
  resolvedRefs,
  type Unresolved,
  type WantedCondition,
} from "./conditions.ts";
import type { MayRefer } from "./grants.ts";

/** A listener, whether it can be served, and which kinds of routes may attach. */
export interface ReadListener {
  readonly listener: GatewayListener;
  /** Routes bind to it by this. */
  readonly routeId: string;
  readonly kinds: readonly string[];
  readonly conditions: readonly WantedCondition[];
  /** undefined where it cannot be served. */
  readonly server: GatewayServer | undefined;
}

export interface ReadGateway {
  readonly source: ResourceRef;
  readonly object: GatewayObject;
  readonly listeners: readonly ReadListener[];
  readonly gateway: Gateway;
  /** Whether all that it names beside its listeners can be used. */
  readonly resolved: WantedCondition;
  /** What it asks for as a whole that cannot be had: then nothing of it is served. */
  readonly refused: WantedCondition | undefined;
  /** Where clients are let in without a certificate that can be verified. */
  readonly insecure: WantedCondition | undefined;
}

export interface GatewaySurroundings {
  readonly mayRefer: MayRefer;
  readonly credentials: ReadonlyMap<string, Credential>;
}

const kindsByProtocol: ReadonlyMap<string, readonly string[]> = new Map([
  ["HTTP", ["HTTPRoute", "GRPCRoute"]],
  ["HTTPS", ["HTTPRoute", "GRPCRoute"]],
  ["TLS", ["TLSRoute"]],
  ["TCP", ["TCPRoute"]],
]);

/** Whether listeners of a protocol can be served. */
export function isServedProtocol(protocol: string): boolean {
  return kindsByProtocol.has(protocol);
}

/** Label by which a Gateway's own pods are known. */
export const gatewayNameLabel = "gateway.networking.k8s.io/gateway-name";

/** A Gateway of our class by itself. @see gateway.networking.k8s.io Gateway */
export function readGateway(object: GatewayObject, around: GatewaySurroundings): ReadGateway {
  const { name, namespace = "default", creationTimestamp = "" } = object.metadata;
  const refused = refusedWhole(object);
  const conflicts = findConflicts(object.spec.listeners);
  const listeners = object.spec.listeners.map((listener, position) => {
    const read = readListener(object, listener, position, conflicts.get(listener.name), around);
    return refused === undefined ? read : unserved(read);
  });
  const faults: Unresolved[] = [];
  const gateway: Gateway = {
    source: refOf(object),
    id: `gateway-api/${namespace}/${name}`,
    namespace,
    name,
    className: object.spec.gatewayClassName,
    selector: { [gatewayNameLabel]: name },
    ownNamespaceOnly: true,
    servers: listeners.flatMap(({ server }) => server ?? []),
    clientCertificate: readClientCertificate(object, around, faults),
    createdAt: creationTimestamp,
  };
  const insecure = listeners.some(
    ({ server }) => endsTls(server?.tls) && server.tls.mode === "optional-mutual",
  );
  return {
    source: refOf(object),
    object,
    listeners,
    gateway,
    resolved: resolvedRefs(faults),
    refused,
    insecure: insecure
      ? condition(
          "InsecureFrontendValidationMode",
          true,
          "ConfigurationChanged",
          "spec.tls.frontend: clients without a certificate are let in",
        )
      : undefined,
  };
}

function unserved(listener: ReadListener): ReadListener {
  const others = listener.conditions.filter(({ type }) => type !== "Programmed");
  const conditions = [...others, condition("Programmed", false, "Invalid")];
  return { ...listener, conditions, server: undefined };
}

/** Addresses of its own and parameters: it would stand elsewhere, or be something else, than it asks for. */
function refusedWhole({ spec }: GatewayObject): WantedCondition | undefined {
  const { addresses = [], infrastructure } = spec;
  if (addresses.length > 0)
    return condition(
      "Accepted",
      false,
      "UnsupportedAddress",
      "spec.addresses: a Gateway's address is its Service's, leave the field out",
    );
  const { parametersRef } = infrastructure ?? {};
  if (parametersRef === undefined) return undefined;
  const { group, kind } = parametersRef;
  return condition(
    "Accepted",
    false,
    "InvalidParameters",
    `spec.infrastructure.parametersRef: \`${group}/${kind}\` is not known, leave the field out`,
  );
}

/** What its proxies show to backends. Where it cannot be used they show nothing, and who asks for it turns them away. */
function readClientCertificate(
  object: GatewayObject,
  around: GatewaySurroundings,
  faults: Unresolved[],
): CredentialRef | undefined {
  const ref = object.spec.tls?.backend?.clientCertificateRef;
  if (ref === undefined) return undefined;
  const found = findCredential(object, ref, "Secret", around);
  const reason = "InvalidClientCertificateRef";
  if ("fault" in found) {
    const { fault } = found;
    faults.push({ ...fault, reason: fault.reason.replace("InvalidCertificateRef", reason) });
    return undefined;
  }
  const fault = credentialFault(found.credential);
  const said = fault ?? refusal(found.credential);
  if (said !== undefined) faults.push({ reason, message: `Secret \`${ref.name}\` ${said}` });
  return fault === undefined ? found.ref : undefined;
}

/** Listeners that cannot stand beside another: neither is served. */
function findConflicts(listeners: readonly GatewayListener[]): ReadonlyMap<string, Unresolved> {
  const conflicts = new Map<string, Unresolved>();
  for (const listener of listeners) {
    for (const other of listeners) {
      if (other === listener || other.port !== listener.port) continue;
      const secure = ({ protocol }: GatewayListener) => protocol === "HTTPS" || protocol === "TLS";
      const sameKind = other.protocol === listener.protocol || (secure(other) && secure(listener));
      if (!sameKind) {
        conflicts.set(listener.name, {
          reason: "ProtocolConflict",
          message: `port ${listener.port} is ${other.protocol} by listener \`${other.name}\``,
        });
      } else if ((other.hostname ?? "") === (listener.hostname ?? "") && !conflicts.has(listener.name)) {
        conflicts.set(listener.name, {
          reason: "HostnameConflict",
          message: `listener \`${other.name}\` has the same port and hostname`,
        });
      }
    }
  }
  return conflicts;
}

function readListener(
  object: GatewayObject,
  listener: GatewayListener,
  position: number,
  conflict: Unresolved | undefined,
  around: GatewaySurroundings,
): ReadListener {
  const { name: gatewayName, namespace = "default" } = object.metadata;
  const { name, port, protocol, hostname, allowedRoutes, tls } = listener;
  const routeId = `gateway-api/${namespace}/${gatewayName}/${name}`;
  const byProtocol = kindsByProtocol.get(protocol);
  const possible =
    protocol === "TLS" && tls?.mode === "Terminate" ? ["TCPRoute", "TLSRoute"] : (byProtocol ?? []);
  const asked = allowedRoutes?.kinds;
  const ofGroup = (asked ?? []).filter(({ group }) => (group ?? gatewayGroup) === gatewayGroup);
  const kinds =
    asked === undefined ? possible : possible.filter((kind) => ofGroup.some((one) => one.kind === kind));
  const faults: Unresolved[] = [];
  if (asked !== undefined && asked.length > kinds.length) {
    const allowed = possible.join(", ") || "no routes";
    faults.push({ reason: "InvalidRouteKinds", message: `a ${protocol} listener takes ${allowed}` });
  }
  const read = byProtocol === undefined ? undefined : readTls(object, listener, around, faults);
  const supported = byProtocol !== undefined;
  const served =
    supported && conflict === undefined && read !== undefined && (asked === undefined || kinds.length > 0);
  const server: GatewayServer | undefined = served
    ? {
        position,
        name,
        port,
        protocol:
          protocol === "HTTP" ? "http" : protocol === "HTTPS" ? "https" : protocol === "TLS" ? "tls" : "tcp",
        bind: undefined,
        hosts: [{ namespace: undefined, host: hostname?.toLowerCase() ?? "*" }],
        redirectToHttps: false,
        tls: read === "none" ? undefined : read,
        routeId,
        isolated: true,
      }
    : undefined;
  const accepted = supported && conflict === undefined;
  const conditions = [
    accepted
      ? condition("Accepted", true, "Accepted")
      : condition(
          "Accepted",
          false,
          conflict?.reason ?? "UnsupportedProtocol",
          conflict?.message ?? `protocol \`${protocol}\` is none of HTTP, HTTPS, TLS, TCP`,
        ),
    conflict === undefined
      ? condition("Conflicted", false, "NoConflicts")
      : condition("Conflicted", true, conflict.reason, conflict.message),
    resolvedRefs(faults),
    served ? condition("Programmed", true, "Programmed") : condition("Programmed", false, "Invalid"),
  ];
  return { listener, routeId, kinds, conditions, server };
}

/** TLS of a listener; undefined where it cannot be served, `none` where it has no TLS. */
function readTls(
  object: GatewayObject,
  { protocol, tls, port }: GatewayListener,
  around: GatewaySurroundings,
  faults: Unresolved[],
): GatewayServer["tls"] | "none" {
  if (protocol !== "HTTPS" && protocol !== "TLS") return "none";
  if (protocol === "TLS" && tls?.mode === "Passthrough") return { mode: "passthrough" };
  const credentials: CredentialRef[] = [];
  const refs = tls?.certificateRefs ?? [];
  if (refs.length === 0)
    faults.push({ reason: "InvalidCertificateRef", message: "tls.certificateRefs names no certificate" });
  for (const ref of refs) {
    const found = findCredential(object, ref, "Secret", around);
    const fault = "fault" in found ? found.fault : credentialFault(found.credential);
    if (typeof fault === "string")
      faults.push({ reason: "InvalidCertificateRef", message: `Secret \`${ref.name}\` ${fault}` });
    else if (fault !== undefined) faults.push(fault);
    else if ("ref" in found) {
      const refused = refusal(found.credential);
      if (refused !== undefined)
        faults.push({ reason: "InvalidCertificateRef", message: `Secret \`${ref.name}\` ${refused}` });
      credentials.push(found.ref);
    }
  }
  // For listeners of HTTPS alone, says the specification.
  const frontend = protocol === "HTTPS" ? object.spec.tls?.frontend : undefined;
  const validation = (frontend?.perPort?.find((one) => one.port === port)?.tls ?? frontend?.default)
    ?.validation;
  let caCredential: CredentialRef | undefined;
  for (const ref of validation?.caCertificateRefs ?? []) {
    const found = findCredential(object, ref, ref.kind, around);
    const fault = "fault" in found ? found.fault : rootsFault(found.credential.roots);
    if (typeof fault === "string")
      faults.push({ reason: "InvalidCACertificateRef", message: `${ref.kind} \`${ref.name}\` ${fault}` });
    else if (fault !== undefined)
      faults.push({
        ...fault,
        reason: fault.reason.replace("InvalidCertificateRef", "InvalidCACertificateRef"),
      });
    else if ("ref" in found) {
      const refused = refusal(found.credential);
      if (refused !== undefined)
        faults.push({
          reason: "InvalidCACertificateRef",
          message: `${ref.kind} \`${ref.name}\` ${refused}`,
        });
      caCredential ??= found.ref;
    }
  }
  // A client that must show a certificate is never let in without because its roots cannot be read.
  const unsafe = validation !== undefined && caCredential === undefined;
  if (credentials.length === 0 || unsafe) return undefined;
  const insecure = validation?.mode === "AllowInsecureFallback";
  const terminating: TerminatingTls = {
    mode: validation === undefined ? "simple" : insecure ? "optional-mutual" : "mutual",
    credentials,
    caCredential,
    files: undefined,
    subjectAltNames: [],
    certificateHashes: [],
    certificateSpki: [],
    minVersion: undefined,
    maxVersion: undefined,
    cipherSuites: [],
  };
  return terminating;
}

type Found =
  | { readonly credential: Credential; readonly ref: CredentialRef }
  | { readonly fault: Unresolved };

function findCredential(
  { metadata }: GatewayObject,
  ref: {
    readonly group?: string;
    readonly kind?: string;
    readonly name: string;
    readonly namespace?: string;
  },
  kind: string,
  { mayRefer, credentials }: GatewaySurroundings,
): Found {
  const own = metadata.namespace ?? "default";
  const namespace = ref.namespace ?? own;
  const isKnown =
    (ref.group ?? "") === "" && ["Secret", "ConfigMap"].includes(kind) && (ref.kind ?? kind) === kind;
  if (!isKnown) {
    const message = `\`${ref.group ?? ""}/${ref.kind ?? kind}\` holds no certificate: name a ${kind}`;
    return { fault: { reason: "InvalidCertificateRef", message } };
  }
  const target = { group: "", kind, namespace, name: ref.name };
  if (!mayRefer({ group: gatewayGroup, kind: "Gateway", namespace: own }, target)) {
    const message = `no ReferenceGrant in \`${namespace}\` lets Gateways of \`${own}\` use ${kind} \`${ref.name}\``;
    return { fault: { reason: "RefNotPermitted", message } };
  }
  const name = kind === "ConfigMap" ? configMapCredential(ref.name) : ref.name;
  const credential = credentials.get(`${namespace}/${name}`);
  if (credential === undefined) {
    const message = `no ${kind} \`${namespace}/${ref.name}\` with certificates exists`;
    return { fault: { reason: "InvalidCertificateRef", message } };
  }
  return { credential, ref: { namespace, name } };
}

/** Under which name a ConfigMap's roots are known among the credentials. */
export function configMapCredential(name: string): string {
  return `configmap:${name}`;
}
