import type { InlineEndpoint } from "../../api/generated/serviceentries.ts";
import type { WorkloadEntry } from "../../api/kinds.ts";
import type { Endpoint, ServiceEndpoints } from "../model/endpoint.ts";
import { localityOfLabels } from "../model/locality.ts";
import type { Service } from "../model/service.ts";
import { factsOf, selects, type Workload } from "../model/workload.ts";
import { keepEqualList, keepEqualMap } from "./keep-equal.ts";
import type { TranslatedEntry } from "./service-entry.ts";
import { isReachable, isSelectedBy, labelsOf } from "./workload-entry.ts";

/** One address that a ServiceEntry may choose: an inline endpoint, a WorkloadEntry or a pod. */
interface Candidate {
  readonly namespace: string;
  readonly written: InlineEndpoint;
  readonly pod: Workload | undefined;
}

/** What is behind the hosts of ServiceEntries, by host. */
export type EntryEndpoints = ReadonlyMap<string, ServiceEndpoints>;

/**
 * Makes the function that keeps what is behind the hosts of ServiceEntries: their inline endpoints, or the WorkloadEntries
 * and pods of their namespace that they select. Equal values are the same objects.
 *
 * @param cluster id of the Kubernetes cluster, for metrics
 */
export function createEntryEndpoints(cluster: string) {
  let inputs: readonly unknown[] = [];
  let before: EntryEndpoints = new Map();
  const known = new Map<string, Endpoint>();

  return (
    entries: readonly TranslatedEntry[],
    workloadEntries: readonly WorkloadEntry[],
    pods: ReadonlyMap<string, Workload>,
  ): EntryEndpoints => {
    if (entries.length === 0) return new Map();
    const selecting = entries.some(({ services }) =>
      services.some(({ workloads }) => workloads !== undefined),
    );
    const now = selecting ? [workloadEntries, pods, ...entries] : entries;
    if (now.length === inputs.length && now.every((input, index) => input === inputs[index])) return before;
    inputs = now;
    const after = new Map<string, ServiceEndpoints>();
    for (const { services, endpoints } of entries)
      for (const service of services) {
        const candidates = candidatesOf(service, endpoints, workloadEntries, pods);
        after.set(service.host, behind(service, candidates, before.get(service.host)));
      }
    before = after;
    return before;
  };

  function behind(
    service: Service,
    candidates: readonly Candidate[],
    old: ServiceEndpoints | undefined,
  ): ServiceEndpoints {
    const byPort = new Map<number, readonly Endpoint[]>();
    for (const { number, name, targetPort } of service.ports) {
      const found = candidates.map(({ namespace, written, pod }) => {
        const port = written.ports?.[name] ?? (typeof targetPort === "number" ? targetPort : number);
        return endpointOf(namespace, written, pod, port);
      });
      byPort.set(number, keepEqualList(old?.byPort.get(number), found));
    }
    const identities = new Set(
      candidates.flatMap(({ namespace, written: { serviceAccount } }) =>
        serviceAccount === undefined ? [] : [`${namespace}/sa/${serviceAccount}`],
      ),
    );
    const endpoints = {
      byPort: keepEqualMap(old?.byPort, byPort),
      identities: keepEqualList(old?.identities, [...identities].sort()),
    };
    return old?.byPort === endpoints.byPort && old.identities === endpoints.identities ? old : endpoints;
  }

  function endpointOf(
    namespace: string,
    written: InlineEndpoint,
    pod: Workload | undefined,
    port: number,
  ): Endpoint {
    const key = JSON.stringify([namespace, written, port]);
    const present = known.get(key);
    if (present !== undefined) return present;
    const { address = "", labels = {}, locality, serviceAccount } = written;
    const [region = "", zone = "", subzone = ""] = (locality ?? "").split("/");
    const endpoint: Endpoint = {
      address,
      port,
      labels,
      facts: pod?.facts ?? factsOf(labels, { namespace, workload: "unknown", cluster }),
      identity: serviceAccount === undefined ? undefined : { namespace, serviceAccount },
      mutualTls: labels["security.istio.io/tlsMode"] === "istio",
      locality: locality ? { region, zone, subzone } : localityOfLabels(labels),
      ...(written.weight !== undefined && { weight: written.weight }),
    };
    known.set(key, endpoint);
    return endpoint;
  }
}

function candidatesOf(
  { host, namespace, resolution, workloads }: Service,
  inline: readonly InlineEndpoint[],
  workloadEntries: readonly WorkloadEntry[],
  pods: ReadonlyMap<string, Workload>,
): Candidate[] {
  if (resolution === "none" || resolution === "dynamic-dns") return [];
  if (inline.length > 0) return inline.map((written) => ({ namespace, written, pod: undefined }));
  if (workloads === undefined)
    return resolution === "static" ? [] : [{ namespace, written: { address: host }, pod: undefined }];
  const machines = workloadEntries
    .filter(
      (object) =>
        isSelectedBy(object, { namespace, workloads }) && isReachable(object.spec.address, resolution),
    )
    .map((object) => ({ namespace, written: { ...object.spec, labels: labelsOf(object) }, pod: undefined }));
  const own = [...pods.values()].flatMap((pod): Candidate[] =>
    pod.namespace === namespace && pod.ip !== undefined && selects(workloads, pod.labels)
      ? [
          {
            namespace,
            written: { address: pod.ip, labels: pod.labels, serviceAccount: pod.serviceAccount },
            pod,
          },
        ]
      : [],
  );
  return [...machines, ...own];
}
