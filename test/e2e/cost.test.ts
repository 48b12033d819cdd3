import { expect, test } from "vitest";
import { EndpointSliceKind } from "../../api/core.ts";
import type { KubeObject } from "../../api/resource.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
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
const rounds = 21;

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

/** What one changed endpoint costs where there are `count` services. */
function costOf(count: number): { readonly pushes: number; readonly bytes: number; readonly ms: number } {
  const objects = Array.from({ length: count }, (_, index) => [
    service(index),
    slice(index, "10.1.0.1"),
  ]).flat();
  const translate = createTranslator(defaultSettings);
  const silent = { inboundAccessLogs: () => [], outboundAccessLogs: () => [], upstreamAttemptLogs: () => [] };
  const builder = createBuilder({ policyFilters: () => noPolicies, telemetry: silent });
  const proxy = readNode({ id: "sidecar~10.9.0.1~web-1.demo~demo.svc.cluster.local", metadata: {} });
  if ("refused" in proxy) throw new Error(proxy.refused);
  const written: Buffer[] = [];
  let { model } = translate(snapshotOf(objects));
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
  const names = Array.from(
    { length: count },
    (_, index) => `outbound|80||svc-${index}.demo.svc.cluster.local`,
  );
  const nonceOf = (bytes: Buffer | undefined) =>
    /(cluster|endpoint) [0-9a-f]{16}/.exec(bytes?.toString("latin1") ?? "")?.[0] ?? "";
  ask("cluster", []);
  ask("cluster", [], nonceOf(written.at(-1)));
  ask("endpoint", names);
  ask("endpoint", [], nonceOf(written.at(-1)));
  const times: number[] = [];
  let [pushes, bytes] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    const changed = slice(7, `10.1.1.${round + 1}`);
    objects[15] = changed;
    const snapshot = snapshotOf(objects);
    // The list of a kind is kept by the informers between two changes.
    const changes = createChanges();
    changes.add(EndpointSliceKind, changed);
    written.length = 0;
    const start = performance.now();
    ({ model } = translate(snapshot, changes));
    stream.publish(builder.viewOf(model, proxy));
    times.push(performance.now() - start);
    pushes = written.length;
    bytes = written.reduce((sum, one) => sum + one.length, 0);
    ask("endpoint", [], nonceOf(written.at(-1)));
  }
  times.sort((a, b) => a - b);
  return { pushes, bytes, ms: times[0] ?? Number.NaN };
}

test("one changed endpoint is one push of the same bytes among 100 services and among 5,000", {
  timeout: 60_000,
}, () => {
  const few = costOf(100);
  const many = costOf(5000);
  expect(few.pushes).toBe(1);
  expect(many.pushes).toBe(1);
  expect(many.bytes).toBe(few.bytes);
  // Not the same: what looks through all names once is a tenth of a microsecond a service.
  expect(many.ms - few.ms).toBeLessThan(2);
});
