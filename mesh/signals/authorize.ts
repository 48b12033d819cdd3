import { create } from "@bufbuild/protobuf";
import { NodeSchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import type { Model } from "../model/model.ts";
import { recogniseProxy } from "../xds/recognise.ts";
import type { ReportingWorkload } from "./counts.ts";

/** Who sends reports, as its connection tells. */
export interface Reporter {
  readonly transport: "plaintext" | "tls";
  /** Of its verified client certificate, as Node prints it. */
  readonly subjectAltName: string | undefined;
  readonly address: string;
}

/** Why a proxy may not report, or the workload that it stands before, where that is known. */
export type Admitted =
  | { readonly refused: string }
  | { readonly refused?: never; readonly workload: ReportingWorkload | undefined };

export type Admit = (reporter: Reporter, nodeId: string) => Admitted;

/**
 * A proxy reports only as itself: over TLS its certificate must prove the node that it names. Which workload it stands
 * before is taken from its pod, never from what it says.
 */
export function admitBy(workloads: () => Model["workloads"], trustDomain: string): Admit {
  return (reporter, nodeId) => {
    const pods = workloads();
    const proxy = recogniseProxy(
      { node: create(NodeSchema, { id: nodeId }), ...reporter },
      pods,
      trustDomain,
    );
    if ("refused" in proxy) return proxy;
    const { namespace, pod } = proxy;
    const workload = pods.get(`${namespace}/${pod}`)?.facts.workload;
    return { workload: workload === undefined ? undefined : { namespace, workload } };
  };
}
