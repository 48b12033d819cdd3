import { create } from "@bufbuild/protobuf";
import { NodeSchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import type { Model } from "../model/model.ts";
import { recogniseProxy } from "../xds/recognise.ts";
import type { Authorize } from "./services.ts";

/** A proxy reports only as itself: over TLS its certificate must prove the node that it names. */
export function authorizeBy(workloads: () => Model["workloads"], trustDomain: string): Authorize {
  return (call, nodeId) => {
    const { transportSecurityType, sslPeerCertificate } = call.getAuthContext();
    const proxy = recogniseProxy(
      {
        node: create(NodeSchema, { id: nodeId }),
        transport: transportSecurityType === undefined ? "plaintext" : "tls",
        subjectAltName: sslPeerCertificate?.subjectaltname,
        address: call.getPeer(),
      },
      workloads(),
      trustDomain,
    );
    return "refused" in proxy ? proxy.refused : undefined;
  };
}
