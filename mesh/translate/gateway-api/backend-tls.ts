import type { BackendTLSPolicy } from "../../../api/kinds.ts";
import { refOf } from "../../../api/resource.ts";
import { type Credential, refusal, rootsFault } from "../../model/credential.ts";
import type { DestinationPolicy, TrafficPolicy } from "../../model/destination-policy.ts";
import { serviceHost } from "../../model/names.ts";
import type { Service } from "../../model/service.ts";
import { condition, type ParentRef, type PolicyStatus, resolvedRefs, type Unresolved } from "./conditions.ts";
import { configMapCredential } from "./listeners.ts";

export interface BackendTlsSurroundings {
  readonly domain: string;
  readonly services: ReadonlyMap<string, Service>;
  readonly credentials: ReadonlyMap<string, Credential>;
  /** Gateways whose routes lead to a Service, by its host: the policy's status tells of each. */
  readonly ancestorsOf: (host: string) => readonly ParentRef[];
}

export interface ReadBackendTls {
  readonly policies: readonly DestinationPolicy[];
  readonly statuses: readonly PolicyStatus[];
}

/**
 * TLS from gateways to Services. Of several policies for one target the oldest counts, the others are `Conflicted`.
 *
 * @see gateway.networking.k8s.io BackendTLSPolicy
 */
export function readBackendTls(
  objects: readonly BackendTLSPolicy[],
  around: BackendTlsSurroundings,
): ReadBackendTls {
  const policies = new Map<string, DestinationPolicy & { byPort: Map<number, TrafficPolicy> }>();
  const taken = new Set<string>();
  const statuses: PolicyStatus[] = [];
  for (const object of objects.toSorted((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1))) {
    const { namespace = "default", creationTimestamp = "" } = object.metadata;
    const faults: Unresolved[] = [];
    const tls = readTls(object, namespace, around, faults);
    const ancestors = new Map<string, ParentRef>();
    let conflicted = false;
    for (const { group, kind, name, sectionName } of object.spec.targetRefs) {
      if (group !== "" || kind !== "Service") continue;
      const host = serviceHost(name, namespace, around.domain);
      for (const ancestor of around.ancestorsOf(host)) ancestors.set(JSON.stringify(ancestor), ancestor);
      const service = around.services.get(host);
      const port = service?.ports.find((one) => one.name === sectionName)?.number;
      const key = `${host} ${sectionName ?? ""}`;
      if (taken.has(key)) conflicted = true;
      if (taken.has(key) || (sectionName !== undefined && port === undefined)) continue;
      taken.add(key);
      const present = policies.get(host) ?? {
        source: refOf(object),
        namespace,
        host,
        exportTo: undefined,
        selector: undefined,
        policy: {},
        byPort: new Map<number, TrafficPolicy>(),
        subsets: [],
        createdAt: creationTimestamp,
      };
      if (port !== undefined) present.byPort.set(port, { tls });
      policies.set(host, port === undefined ? { ...present, policy: { tls } } : present);
    }
    const accepted = conflicted
      ? condition("Accepted", false, "Conflicted", "an older policy has the same target")
      : faults.some(({ reason }) => reason === "NoValidCACertificate")
        ? condition(
            "Accepted",
            false,
            "NoValidCACertificate",
            faults.map(({ message }) => message).join("; "),
          )
        : condition("Accepted", true, "Accepted");
    const refs = resolvedRefs(
      faults.map((fault) => ({
        ...fault,
        reason: fault.reason.replace("NoValidCACertificate", "InvalidCACertificateRef"),
      })),
    );
    statuses.push({
      policy: refOf(object),
      ancestors: [...ancestors.values()].map((ancestorRef) => ({
        ancestorRef,
        conditions: [accepted, refs],
      })),
    });
  }
  return { policies: [...policies.values()], statuses };
}

/** Without roots that can be read no certificate is taken: the connection fails, it never goes unverified. */
function readTls(
  { spec }: BackendTLSPolicy,
  namespace: string,
  { credentials }: BackendTlsSurroundings,
  faults: Unresolved[],
): NonNullable<TrafficPolicy["tls"]> {
  const { hostname, caCertificateRefs = [], wellKnownCACertificates, subjectAltNames = [] } = spec.validation;
  const roots = caCertificateRefs.flatMap(({ group, kind, name }) => {
    const known = group === "" && (kind === "ConfigMap" || kind === "Secret");
    if (!known) {
      faults.push({
        reason: "InvalidKind",
        message: `\`${group}/${kind}\` holds no certificates: name a ConfigMap`,
      });
      return [];
    }
    const credential = credentials.get(
      `${namespace}/${kind === "ConfigMap" ? configMapCredential(name) : name}`,
    );
    const fault =
      credential === undefined ? "with certificates does not exist" : rootsFault(credential.roots);
    const said = fault ?? (credential && refusal(credential));
    if (said !== undefined)
      faults.push({ reason: "InvalidCACertificateRef", message: `${kind} \`${namespace}/${name}\` ${said}` });
    return fault === undefined ? (credential?.roots ?? []) : [];
  });
  if (wellKnownCACertificates !== undefined && wellKnownCACertificates !== "System")
    faults.push({
      reason: "InvalidCACertificateRef",
      message: `wellKnownCACertificates is \`${wellKnownCACertificates}\`, must be System`,
    });
  if (roots.length === 0 && wellKnownCACertificates !== "System" && faults.length > 0)
    faults.unshift({ reason: "NoValidCACertificate", message: "no certificate of an authority can be read" });
  return {
    mode: "simple",
    serverName: hostname,
    subjectAltNames:
      subjectAltNames.length === 0
        ? [hostname]
        : subjectAltNames.flatMap(({ hostname: name, uri }) => name ?? uri ?? []),
    ...(wellKnownCACertificates !== "System" && { rootsPem: roots.join("\n") }),
  };
}

function ageOf({ metadata }: BackendTLSPolicy): string {
  return `${metadata.creationTimestamp ?? ""} ${metadata.namespace ?? ""} ${metadata.name}`;
}
