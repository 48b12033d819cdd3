import type { Problem } from "../../api/resource.ts";
import { type Credential, credentialFault, refusal, rootsFault } from "./credential.ts";
import {
  type CredentialRef,
  endsTls,
  type Gateway,
  type GatewayServer,
  selectsProxy,
  type TerminatingTls,
} from "./gateway.ts";
import { targetPortOf } from "./inbound.ts";
import { type Model, servicesOver } from "./model.ts";
import type { ContainerPort } from "./workload.ts";

/** A server of a gateway, with the gateway. */
export interface BoundServer {
  readonly gateway: Gateway;
  readonly server: GatewayServer;
}

/** A port that a gateway's proxy binds, and who is served there. */
export interface PlannedListener {
  /** Port of the pod. */
  readonly number: number;
  readonly bind: string | undefined;
  /** `http`: all share one route table, `tls`: told apart by server name, `tcp`: one. */
  readonly kind: "http" | "tls" | "tcp";
  /** Oldest gateway first. */
  readonly servers: readonly BoundServer[];
}

/** What the proxies over one set of pods listen for. */
export interface GatewayPlan {
  readonly listeners: readonly PlannedListener[];
  /** What cannot be carried out: conflicts of servers, credentials that are missing or broken. */
  readonly problems: readonly Problem[];
  /** By resource name, see {@link credentialName}. */
  readonly credentials: ReadonlyMap<string, Credential>;
}

/** The pods of a gateway. */
export interface GatewayPods {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly ContainerPort[];
}

type GatewayModel = Pick<Model, "services"> & Partial<Pick<Model, "gateways" | "credentials">>;

/** Name of an SDS resource, as Istio spells it. */
export function credentialName({ namespace, name }: CredentialRef): string {
  return namespace === undefined ? `kubernetes://${name}` : `kubernetes-gateway://${namespace}/${name}`;
}

/** SDS name of the certificate that these pods show to backends: the oldest gateway's that has one. */
export function clientSecretOf(model: GatewayModel, pods: Omit<GatewayPods, "ports">): string | undefined {
  const { clientCertificate } =
    gatewaysOver(model, pods).find((gateway) => gateway.clientCertificate !== undefined) ?? {};
  const held = clientCertificate && model.credentials?.get(secretKey(clientCertificate, pods.namespace));
  return clientCertificate !== undefined && held !== undefined && credentialFault(held) === undefined
    ? credentialName(clientCertificate)
    : undefined;
}

function secretKey(ref: CredentialRef, namespace: string): string {
  return `${ref.namespace ?? namespace}/${ref.name}`;
}

/** Name of the SDS resource with a Secret's roots. */
export function rootsName(ref: CredentialRef): string {
  const name = credentialName(ref);
  return name.endsWith("-cacert") ? name : `${name}-cacert`;
}

/** The gateways that these pods serve, oldest first. */
export function gatewaysOver(model: GatewayModel, pods: Omit<GatewayPods, "ports">): readonly Gateway[] {
  return (model.gateways ?? []).filter((gateway) => selectsProxy(gateway, pods));
}

/**
 * Puts the servers of all gateways over these pods together.
 *
 * Plain HTTP servers of one port share it, servers with TLS share it by server name; what does not fit to an older one
 * (another protocol on its port, the same name twice) is left out and told, and so is a server whose credential cannot
 * be used: Envoy would wait for it with the whole listener.
 */
export function planGateway(model: GatewayModel, pods: GatewayPods): GatewayPlan {
  const problems: Problem[] = [];
  const credentials = new Map<string, Credential>();
  const listeners = new Map<string, PlannedListener & { servers: BoundServer[] }>();
  const services = servicesOver(model.services, pods.namespace, pods.labels);
  for (const gateway of gatewaysOver(model, pods)) {
    const { clientCertificate } = gateway;
    const client = clientCertificate && model.credentials?.get(secretKey(clientCertificate, pods.namespace));
    if (clientCertificate !== undefined && client !== undefined && credentialFault(client) === undefined)
      credentials.set(credentialName(clientCertificate), client);
    for (const server of gateway.servers) {
      const problem = (field: string, message: string) =>
        problems.push({ resource: gateway.source, field: `${pointerOf(gateway, server)}/${field}`, message });
      const number = targetPortOf(services, server.port, pods.ports);
      const key = `${server.bind ?? ""}_${number}`;
      const kind = server.protocol === "http" || server.protocol === "tcp" ? server.protocol : "tls";
      const present = listeners.get(key);
      if (present !== undefined && present.kind !== kind) {
        const first = present.servers[0]?.gateway.id ?? "";
        problem(
          "port",
          `port ${server.port} speaks ${present.kind} by the older Gateway ${first}: this server is left out`,
        );
        continue;
      }
      const clash = present?.servers.find((other) => clashes(kind, other.server, server));
      if (clash !== undefined) {
        problem(
          "hosts",
          `Gateway ${clash.gateway.id}, which is older, serves the same on port ${server.port}: this server is left out`,
        );
        continue;
      }
      const { tls } = server;
      if (endsTls(tls)) {
        const fault = useCredentials(tls, pods.namespace, model, credentials, problem);
        if (fault !== undefined) {
          problem(fault.field, `${fault.message}: this server is left out`);
          continue;
        }
      }
      const listener = present ?? { number, bind: server.bind, kind, servers: [] };
      listeners.set(key, listener);
      listener.servers.push({ gateway, server });
    }
  }
  return { listeners: [...listeners.values()], problems, credentials };
}

function pointerOf({ className }: Gateway, { position }: GatewayServer): string {
  return className === undefined ? `/spec/servers/${position}` : `/spec/listeners/${position}`;
}

/** TLS servers are told apart by their names, of TCP servers there is one a port; HTTP servers never clash. */
function clashes(kind: PlannedListener["kind"], a: GatewayServer, b: GatewayServer): boolean {
  if (kind === "http") return false;
  if (kind === "tcp") return true;
  return (
    b.hosts.some(({ host }) => a.hosts.some((other) => other.host === host)) &&
    (endsTls(a.tls) || endsTls(b.tls))
  );
}

interface Fault {
  readonly field: string;
  readonly message: string;
}

/** Adds what a server needs to `used`; what is wrong with it otherwise. Tells of Secrets whose last good version stays. */
function useCredentials(
  tls: TerminatingTls,
  namespace: string,
  { credentials }: GatewayModel,
  used: Map<string, Credential>,
  tell: (field: string, message: string) => void,
): Fault | undefined {
  const found = new Map<string, Credential>();
  const find = (ref: CredentialRef) => credentials?.get(secretKey(ref, namespace));
  const where = (ref: CredentialRef) => `\`${secretKey(ref, namespace)}\``;
  for (const ref of tls.credentials) {
    const credential = find(ref);
    const field = "tls/credentialName";
    if (credential === undefined)
      return { field, message: `no Secret ${where(ref)} with a certificate exists` };
    const fault = credentialFault(credential);
    if (fault !== undefined) return { field, message: `Secret ${where(ref)} ${fault}` };
    const refused = refusal(credential);
    if (refused !== undefined) tell(field, `Secret ${where(ref)} ${refused}`);
    found.set(credentialName(ref), credential);
  }
  const [first] = tls.credentials;
  if (tls.mode !== "simple" && (first !== undefined || tls.caCredential !== undefined)) {
    const ref = rootsRef(tls, (candidate) => find(candidate)?.roots !== undefined);
    const credential = ref && find(ref);
    if (ref === undefined || credential === undefined)
      return {
        field: "tls/caCertCredentialName",
        message: "no Secret with the roots of clients' certificates exists",
      };
    const fault = rootsFault(credential.roots);
    if (fault !== undefined)
      return { field: "tls/caCertCredentialName", message: `Secret ${where(ref)} ${fault}` };
    const refused = tls.credentials.some((one) => find(one) === credential) ? undefined : refusal(credential);
    if (refused !== undefined) tell("tls/caCertCredentialName", `Secret ${where(ref)} ${refused}`);
    found.set(rootsName(ref), credential);
  }
  for (const [name, credential] of found) used.set(name, credential);
  return undefined;
}

/** Where the roots of clients' certificates stand: named, or in the companion `<credential>-cacert`, or beside the certificate. */
export function rootsRef(
  { caCredential, credentials }: TerminatingTls,
  hasRoots: (ref: CredentialRef) => boolean,
): CredentialRef | undefined {
  if (caCredential !== undefined) return caCredential;
  const [first] = credentials;
  if (first === undefined) return undefined;
  const companion = { ...first, name: `${first.name}-cacert` };
  return hasRoots(companion) ? companion : hasRoots(first) ? first : undefined;
}
