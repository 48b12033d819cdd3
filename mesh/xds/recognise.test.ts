import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { NodeSchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import type { Workload } from "../model/workload.ts";
import type { Peer } from "./ads.ts";
import { recogniseProxy } from "./recognise.ts";

const workload: Workload = {
  namespace: "demo",
  pod: "shop-1",
  ip: "10.0.0.7",
  labels: {},
  serviceAccount: "shop",
  facts: {},
  ports: [],
  mutualTls: true,
};
const workloads = new Map([["demo/shop-1", workload]]);

function peer(transport: Peer["transport"], subjectAltName?: string, metadata = {}, pod = "shop-1"): Peer {
  const node = create(NodeSchema, { id: `sidecar~10.0.0.7~${pod}.demo~demo.svc.cluster.local`, metadata });
  return { node, transport, subjectAltName, address: "10.0.0.7:1" };
}

const recognise = (who: Peer) => recogniseProxy(who, workloads, "cluster.local");
const uri = (path: string) => `URI:spiffe://cluster.local/ns/${path}`;

test("plaintext takes a node at its word", () => {
  expect(recognise(peer("plaintext"))).toMatchObject({ pod: "shop-1" });
});

test("over TLS the certificate must prove namespace and service account of the pod, whatever the node says", () => {
  expect(recognise(peer("tls", uri("demo/sa/shop")))).toMatchObject({ pod: "shop-1" });
  for (const foreign of [
    undefined,
    uri("demo/sa/other"),
    uri("prod/sa/shop"),
    "URI:spiffe://evil.example/ns/demo/sa/shop",
    `${uri("demo/sa/shop")}, DNS:x`,
  ]) {
    expect(recognise(peer("tls", foreign, { SERVICE_ACCOUNT: "other" }))).toHaveProperty("refused");
  }
});

test("a pod that the API server has not shown yet is held to what its node says", () => {
  expect(recognise(peer("tls", uri("demo/sa/new"), { SERVICE_ACCOUNT: "new" }, "new-1"))).toMatchObject({
    pod: "new-1",
  });
  expect(recognise(peer("tls", uri("demo/sa/shop"), { SERVICE_ACCOUNT: "new" }, "new-1"))).toHaveProperty(
    "refused",
  );
});
