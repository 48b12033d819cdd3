import { expect, test } from "vitest";
import type { Problem } from "../api/resource.ts";
import type { Gateway } from "./model/gateway.ts";
import { readNode } from "./model/proxy.ts";
import { gatewayHolding } from "./programmed.ts";
import { conditionsOf } from "./status.ts";

const problem: Problem = {
  resource: { kind: "VirtualService", namespace: "demo", name: "shop" },
  field: "/spec/http/0/route/0/destination/host",
  message: "no Service `x` exists",
};

test("says how many proxies hold the routes", () => {
  expect(conditionsOf({ held: 3, of: 3 }, [])).toMatchObject([
    { type: "Programmed", status: "True", message: "Programmed 3/3" },
    { type: "Accepted", status: "True" },
  ]);
  expect(conditionsOf({ held: 2, of: 3 }, [])[0]).toMatchObject({
    status: "False",
    reason: "Pending",
    message: "Programmed 2/3",
  });
  expect(conditionsOf({ held: 0, of: 0 }, [])[0]).toMatchObject({ status: "Unknown", reason: "NoProxies" });
});

test("names the field of what cannot be carried out, and a proxy's refusal", () => {
  const [, accepted] = conditionsOf({ held: 1, of: 1 }, [problem]);
  expect(accepted).toMatchObject({
    status: "False",
    message: "/spec/http/0/route/0/destination/host: no Service `x` exists",
  });
  const [programmed] = conditionsOf({ held: 1, of: 1 }, [
    { ...problem, message: "a proxy refused route `80`: no" },
  ]);
  expect(programmed).toMatchObject({ status: "False", reason: "Refused" });
});

test("says of an object that every proxy has a part of only what is wrong with it", () => {
  expect(conditionsOf(undefined, [problem])).toMatchObject([{ type: "Accepted", status: "False" }]);
});

test("counts the proxies that serve a Gateway, and which of them hold all", () => {
  const gateway: Gateway = {
    source: { kind: "Gateway", namespace: "demo", name: "edge" },
    id: "demo/edge",
    namespace: "demo",
    name: "edge",
    className: undefined,
    selector: { istio: "ingressgateway" },
    ownNamespaceOnly: false,
    servers: [],
    createdAt: "",
  };
  const proxy = (kind: string, number: number, istio: string) => {
    const id = `${kind}~10.0.0.${number}~pod-${number}.demo~demo.svc.cluster.local`;
    const read = readNode({ id, metadata: { LABELS: { istio } } });
    if ("refused" in read) throw new Error(read.refused);
    return { ...read, proven: true };
  };
  const connections = [
    { proxy: proxy("router", 1, "ingressgateway"), synced: true },
    { proxy: proxy("router", 2, "ingressgateway"), synced: false },
    { proxy: proxy("router", 3, "egressgateway"), synced: true },
    { proxy: proxy("sidecar", 4, "ingressgateway"), synced: true },
  ];
  expect(gatewayHolding(connections, gateway)).toEqual({ held: 1, of: 2 });
  expect(gatewayHolding(connections, undefined)).toEqual({ held: 0, of: 0 });
});
