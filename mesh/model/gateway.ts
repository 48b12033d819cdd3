import type { ResourceRef } from "../../api/resource.ts";

/** What a gateway's proxies listen for: Istio's Gateway, or the Gateway API's. The same object while it does not change. */
export interface Gateway {
  readonly source: ResourceRef;
  /** How routes bind to it: `<namespace>/<name>`; a Gateway API listener's is `gateway-api/<namespace>/<name>/<listener>`. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  /** Class of a Gateway API Gateway; undefined for Istio's. */
  readonly className: string | undefined;
  /** Labels of the pods whose proxies serve it; an empty selector selects every gateway proxy. */
  readonly selector: Readonly<Record<string, string>>;
  /** Only pods of its own namespace. */
  readonly ownNamespaceOnly: boolean;
  readonly servers: readonly GatewayServer[];
  /** What its proxies show to backends that are reached by TLS; undefined: nothing. */
  readonly clientCertificate?: CredentialRef | undefined;
  readonly createdAt: string;
}

export interface GatewayServer {
  /** Place in `spec.servers` or `spec.listeners`, for problems. */
  readonly position: number;
  /** Of its port. */
  readonly name: string;
  /** As users of the gateway's Service know it. */
  readonly port: number;
  /** `tls` passes the bytes on by server name; with a TLS mode that ends TLS it is bytes inside. */
  readonly protocol: "http" | "https" | "tls" | "tcp";
  /** Listener address, or `unix:///PATH`; undefined: all (in the loopback data path the pod's own). */
  readonly bind: string | undefined;
  readonly hosts: readonly ServerHost[];
  readonly redirectToHttps: boolean;
  readonly tls: ServerTls | undefined;
  /** Routes bind to this id instead of the Gateway's: a listener of the Gateway API is a parent of its own. */
  readonly routeId: string;
  /**
   * A listener of the Gateway API: a host belongs to the listener on its port that names it most exactly, and to no
   * other; over HTTPS a request for a host of another listener is answered with 421.
   */
  readonly isolated: boolean;
}

/** A host that a server takes, and from which namespace's routes. */
export interface ServerHost {
  /** undefined: routes of any namespace. */
  readonly namespace: string | undefined;
  /** A leading `*` stands for any first part; `*` alone for every host. */
  readonly host: string;
}

/** Names a Secret; without a namespace: in the gateway proxy's own. */
export interface CredentialRef {
  readonly namespace: string | undefined;
  readonly name: string;
}

/** `auto-passthrough`: by the server names of the mesh's own mutual TLS, without routes. */
export type ServerTls = { readonly mode: "passthrough" | "auto-passthrough" } | TerminatingTls;

/** Whether a server ends TLS itself. */
export function endsTls(tls: ServerTls | undefined): tls is TerminatingTls {
  return tls !== undefined && tls.mode !== "passthrough" && tls.mode !== "auto-passthrough";
}

export interface TerminatingTls {
  readonly mode: "simple" | "mutual" | "optional-mutual" | "istio-mutual";
  /** Several: one a key type. Empty where files are named, and for `istio-mutual`. */
  readonly credentials: readonly CredentialRef[];
  /** Where the roots of client certificates stand, if not in the first credential or its `-cacert` companion. */
  readonly caCredential: CredentialRef | undefined;
  readonly files:
    | {
        /** Several: one a key type. */
        readonly certificates: readonly { readonly certificate: string; readonly key: string }[];
        readonly roots: string | undefined;
        readonly revoked: string | undefined;
      }
    | undefined;
  readonly subjectAltNames: readonly string[];
  readonly certificateHashes: readonly string[];
  readonly certificateSpki: readonly string[];
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
  readonly cipherSuites: readonly string[];
}

export type TlsVersion = "1.0" | "1.1" | "1.2" | "1.3";

/** Whether a gateway's pods are selected: by labels, in its own namespace or in any. */
export function selectsProxy(
  { selector, ownNamespaceOnly, namespace }: Pick<Gateway, "selector" | "ownNamespaceOnly" | "namespace">,
  pod: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
): boolean {
  if (ownNamespaceOnly && pod.namespace !== namespace) return false;
  return Object.entries(selector).every(([name, value]) => pod.labels[name] === value);
}

/**
 * The more exact of two hosts where both take some host in common: `*.a.com` and `b.a.com` meet in `b.a.com`; undefined
 * where they have none in common.
 */
export function commonHost(a: string, b: string): string | undefined {
  if (a === b || b === "*") return a;
  if (a === "*") return b;
  if (a.startsWith("*") && b.endsWith(a.slice(1)) && (!b.startsWith("*") || b.length >= a.length)) return b;
  if (b.startsWith("*") && a.endsWith(b.slice(1)) && (!a.startsWith("*") || a.length >= b.length)) return a;
  return undefined;
}
