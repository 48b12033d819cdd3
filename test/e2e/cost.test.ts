import { expect, test } from "vitest";
import { EndpointSliceKind, ServiceKind } from "../../api/core.ts";
import type { KubeObject } from "../../api/resource.ts";
import { createSnapshot, kindKey, objectsOf, withObject } from "../../kube/snapshot.ts";
import { systemClock } from "../../lib/clock.ts";
import { createBuilder } from "../../mesh/build/builder.ts";
import { typeUrls } from "../../mesh/build/resource.ts";
import { noPolicies } from "../../mesh/build/workload-filters.ts";
import { defaultSettings } from "../../mesh/model/model.ts";
import { readNode } from "../../mesh/model/proxy.ts";
import { createChanges } from "../../mesh/translate/changes.ts";
import { createTranslator } from "../../mesh/translate/translate.ts";
import { createNameSets } from "../../mesh/xds/name-sets.ts";
import { createResponses } from "../../mesh/xds/response.ts";
import { createDeltaStream } from "../../mesh/xds/stream.ts";

/** The quickest counts: what the machine does beside is not the change's cost. */
const rounds = 200;
const attempts = 3;

function service(index: number): KubeObject {
  return {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: `svc-${index}`, namespace: "demo" } },
    spec: {
      clusterIP: `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
      ports: [{ name: "http", port: 80 }],
    },
  } as KubeObject;
}

function slice(index: number, address: string): KubeObject {
  return {
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
    metadata: {
      name: `svc-${index}-1`,
      namespace: "demo",
      labels: { "kubernetes.io/service-name": `svc-${index}` },
    },
    ports: [{ name: "http", port: 8080 }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  } as KubeObject;
}

/** What one changed endpoint cost. */
interface Cost {
  readonly pushes: number;
  readonly bytes: number;
  readonly ms: number;
}

/** A mesh of `count` services with one proxy that holds everything: each call changes one endpoint. */
function meshOf(count: number): () => Cost {
  const numbers = Array.from({ length: count }, (_, index) => index);
  const services = objectsOf(numbers.map(service));
  let slices = objectsOf(numbers.map((index) => slice(index, "10.1.0.1")));
  const snapshot = () =>
    createSnapshot(
      new Map([
        [kindKey(ServiceKind), services],
        [kindKey(EndpointSliceKind), slices],
      ]),
    );
  const translate = createTranslator(defaultSettings);
  const silent = { inboundAccessLogs: () => [], outboundAccessLogs: () => [], upstreamAttemptLogs: () => [] };
  const builder = createBuilder({ policyFilters: () => noPolicies, telemetry: silent });
  const proxy = readNode({ id: "sidecar~10.9.0.1~web-1.demo~demo.svc.cluster.local", metadata: {} });
  if ("refused" in proxy) throw new Error(proxy.refused);
  const written: Buffer[] = [];
  let { model } = translate(snapshot());
  const stream = createDeltaStream(builder.viewOf(model, proxy), {
    ...{ responses: createResponses(), nameSets: createNameSets(), clock: systemClock },
    ...{ isOpen: () => true, onAcknowledged() {}, onRejected() {} },
    write: (bytes) => void written.push(bytes),
  });
  const ask = (type: "cluster" | "endpoint", subscribe: string[], nonce = "") =>
    stream.request(type, {
      ...{ node: undefined, typeUrl: typeUrls[type], unsubscribe: [], held: new Map(), error: undefined },
      ...{ subscribe, nonce },
    });
  const nonceOf = (bytes: Buffer | undefined) =>
    /(cluster|endpoint) [0-9a-f]{16}/.exec(bytes?.toString("latin1") ?? "")?.[0] ?? "";
  ask("cluster", []);
  ask("cluster", [], nonceOf(written.at(-1)));
  ask(
    "endpoint",
    numbers.map((index) => `outbound|80||svc-${index}.demo.svc.cluster.local`),
  );
  ask("endpoint", [], nonceOf(written.at(-1)));
  let round = 0;
  return () => {
    round += 1;
    const changed = slice(7, `10.1.${100 + (round >> 7)}.${100 + (round & 127)}`);
    written.length = 0;
    const start = performance.now();
    // As the informers do it.
    slices = withObject(slices, changed);
    const changes = createChanges();
    changes.add(EndpointSliceKind, changed);
    ({ model } = translate(snapshot(), changes));
    stream.publish(builder.viewOf(model, proxy));
    const ms = performance.now() - start;
    const bytes = written.reduce((sum, one) => sum + one.length, 0);
    const cost = { pushes: written.length, bytes, ms };
    ask("endpoint", [], nonceOf(written.at(-1)));
    return cost;
  };
}

function quickest(costs: readonly Cost[]): number {
  return Math.min(...costs.map(({ ms }) => ms));
}

test("one changed endpoint costs the same push, bytes and time among 100 services and among 5,000", {
  timeout: 60_000,
}, () => {
  const [changeFew, changeMany] = [meshOf(100), meshOf(5000)];
  const ratios: number[] = [];
  for (let attempt = 0; attempt < attempts && !ratios.some((ratio) => ratio <= 1.2); attempt += 1) {
    const costs = Array.from({ length: rounds }, () => ({ few: changeFew(), many: changeMany() }));
    const [few, many] = [costs.map((cost) => cost.few), costs.map((cost) => cost.many)];
    const [first] = few;
    expect(first?.pushes).toBe(1);
    for (const { pushes, bytes } of [...few, ...many])
      expect({ pushes, bytes }).toEqual({ pushes: 1, bytes: first?.bytes });
    ratios.push(quickest(many) / quickest(few));
  }
  // Best of three, as a machine that does other things beside is no change's cost.
  expect(Math.min(...ratios)).toBeLessThanOrEqual(1.2);
});
