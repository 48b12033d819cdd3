import type { Locality } from "./locality.ts";
import type { WorkloadFacts } from "./workload.ts";

/** One ready address behind a port of a Service. */
export interface Endpoint {
  /** An IP address, or `unix:///PATH` (without meaning of the port). */
  readonly address: string;
  readonly port: number;
  /** Labels of the pod: a subset selects by them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly facts: WorkloadFacts;
  /** Namespace and service account of the pod; undefined for an address without a known pod. */
  readonly identity: WorkloadIdentity | undefined;
  readonly mutualTls: boolean;
  readonly locality?: Locality | undefined;
  /** Its share among its like; 1 by default. */
  readonly weight?: number;
}

/** Who a pod proves to be: `spiffe://<trust domain>/ns/<namespace>/sa/<serviceAccount>`. */
export interface WorkloadIdentity {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** What is behind one Service. The same object while nothing of it changes. */
export interface ServiceEndpoints {
  /** Ready endpoints by port of the Service. */
  readonly byPort: ReadonlyMap<number, readonly Endpoint[]>;
  /**
   * `<namespace>/sa/<serviceAccount>` of all its pods, ready or not, sorted; of the last ones while there are none. Who
   * calls it knows its servers by them, and an unready pod must not change how it is called.
   */
  readonly identities: readonly string[];
}
