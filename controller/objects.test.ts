/** What is generated for a Canary, as files that a reviewer reads: compare with what Flagger makes of the same. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { runAnnotation } from "../api/annotations.ts";
import { readCanary } from "../api/canary/read.ts";
import { CanaryKind, type VirtualService, VirtualServiceKind } from "../api/kinds.ts";
import type { KubeObject } from "../api/resource.ts";
import { snapshotOf } from "../kube/snapshot.ts";
import type { Traffic } from "./decide/traffic.ts";
import { objectWrites } from "./objects.ts";
import { createPrimaryWrites } from "./primary.ts";
import { revisionOf } from "./revision.ts";
import { istioRouter } from "./routers/istio.ts";
import { defaultSettings } from "./settings.ts";
import { isUsersRoute, readSubject, runMark, type Subject } from "./subject.ts";
import type { Write } from "./write.ts";

const idle: Traffic = { canaryWeight: 0, mirror: 0, preview: false };
const at = (canaryWeight: number): Traffic => ({ ...idle, canaryWeight, preview: true });
const folder = join(import.meta.dirname, "testdata");

function manifests(): KubeObject[] {
  const text = readFileSync(join(folder, "podinfo.in.yaml"), "utf8");
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

function subjectOf(objects: readonly KubeObject[], settings = defaultSettings): Subject {
  const snapshot = snapshotOf(objects);
  const { value, problems } = readCanary(snapshot.get(CanaryKind, "test", "podinfo"));
  if (value === undefined) throw new Error(JSON.stringify(problems));
  return readSubject(value, snapshot, istioRouter, settings);
}

function made(writes: readonly Write[]): KubeObject[] {
  return writes.flatMap((write) => (write.kind === "patch" ? [] : [write.object]));
}

function asText(objects: readonly KubeObject[]): string {
  return objects.map((object) => stringify(object)).join("---\n");
}

test("Services, rules and route", async () => {
  const objects = made(objectWrites(subjectOf(manifests()), true, idle));
  await expect(asText(objects)).toMatchFileSnapshot(join(folder, "podinfo.routes.yaml"));
});

test("the primary and the copies of its configs", async () => {
  const subject = subjectOf(manifests(), { ...defaultSettings, includeLabelPrefixes: ["team"] });
  const writes = createPrimaryWrites(subject, "v2:golden");
  await expect(asText(made(writes))).toMatchFileSnapshot(join(folder, "podinfo.primary.yaml"));
});

test("objects that stand as they should are not written again, and weights are not drift", () => {
  const before = manifests();
  const objects = made(objectWrites(subjectOf(before), true, idle));
  expect(objectWrites(subjectOf([...before, ...objects]), true, idle)).toEqual([]);
  const shifted = objects.map((object) =>
    object.kind === "VirtualService" ? withWeights(object as VirtualService, [70, 30]) : object,
  );
  expect(objectWrites(subjectOf([...before, ...shifted]), true, idle)).toEqual([]);
});

test("an edit of the Canary in the middle of a run keeps the weights that stand", () => {
  const before = manifests();
  const objects = made(objectWrites(subjectOf(before), true, idle)).map((object) =>
    object.kind === "VirtualService" ? withWeights(object as VirtualService, [70, 30]) : object,
  );
  const edited = before.map((object) =>
    object.kind === "Canary"
      ? (JSON.parse(JSON.stringify(object).replace('"timeout":"15s"', '"timeout":"20s"')) as KubeObject)
      : object,
  );
  const [route] = made(objectWrites(subjectOf([...edited, ...objects]), true, at(30))) as VirtualService[];
  expect(route?.spec.http?.[0]).toMatchObject({ timeout: "20s", route: [{ weight: 70 }, { weight: 30 }] });
});

test("a route of the user's that has both destinations is left alone but for weights and annotations", () => {
  const route: VirtualService = {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "podinfo", namespace: "test", resourceVersion: "7" },
    spec: {
      hosts: ["podinfo"],
      http: [
        { name: "static", route: [{ destination: { host: "static" } }] },
        {
          route: [
            { destination: { host: "podinfo-primary.test.svc.cluster.local" }, weight: 100 },
            { destination: { host: "podinfo-canary" }, weight: 0 },
          ],
        },
      ],
    },
  };
  const subject = subjectOf([...manifests(), route]);
  expect(made(objectWrites(subject, true, idle)).map(({ kind }) => kind)).not.toContain("VirtualService");
  const mark = {
    canary: { namespace: "test", name: "podinfo", uid: "canary" },
    run: "r",
    revision: "v2:1",
    primaryHost: "p",
    canaryHost: "c",
  };
  expect(istioRouter.setTraffic(subject.canary, at(10), mark, subject.snapshot)).toEqual({
    kind: "patch",
    of: VirtualServiceKind,
    namespace: "test",
    name: "podinfo",
    operations: [
      { op: "test", path: "/metadata/resourceVersion", value: "7" },
      {
        op: "test",
        path: "/spec/http/1/route/0/destination/host",
        value: "podinfo-primary.test.svc.cluster.local",
      },
      { op: "test", path: "/spec/http/1/route/1/destination/host", value: "podinfo-canary" },
      { op: "add", path: "/spec/http/1/route/0/weight", value: 90 },
      { op: "add", path: "/spec/http/1/route/1/weight", value: 10 },
      { op: "add", path: "/metadata/annotations", value: { [runAnnotation]: JSON.stringify(mark) } },
    ],
  });
});

test("a route of the user's without both destinations is taken over, and given back as it was", () => {
  const spec = { hosts: ["podinfo"], http: [{ route: [{ destination: { host: "podinfo" } }] }] };
  const route = {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "podinfo", namespace: "test", resourceVersion: "7" },
    spec,
  };
  const taken = made(objectWrites(subjectOf([...manifests(), route]), true, idle)).find(
    ({ kind }) => kind === "VirtualService",
  );
  expect((taken as VirtualService).spec.http?.[0]?.route?.map(({ weight }) => weight)).toEqual([100, 0]);
  const subject = subjectOf([...manifests(), taken as KubeObject]);
  const [back] = istioRouter.revert(subject.canary, subject.owner, subject.snapshot);
  expect(back?.kind === "replace" && (back.object as VirtualService).spec).toEqual(spec);
});

test("a run's mark says which requests are shielded, and only of a Canary that asks for it", () => {
  const subject = subjectOf(manifests());
  const run = { id: "r", revision: "v2:1", startedAt: 0, preRolloutPassed: true };
  const shield = { methods: ["GET"], hangAfter: 300 };
  const { canary } = subject;
  const shielded = { ...subject, canary: { ...canary, analysis: { ...canary.analysis, shield } } };
  expect(runMark(subject, run)).not.toHaveProperty("shield");
  expect(runMark(shielded, run)).toEqual({ ...runMark(subject, run), shield });
});

test("a route of the user's is told from one that was made or taken over", () => {
  const route = {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "podinfo", namespace: "test" },
    spec: {
      hosts: ["podinfo"],
      http: [{ route: ["podinfo-primary", "podinfo-canary"].map((host) => ({ destination: { host } })) }],
    },
  };
  expect(isUsersRoute(subjectOf([...manifests(), route]))).toBe(true);
  const written = made(objectWrites(subjectOf(manifests()), true, idle));
  const generated = written.filter(({ kind }) => kind === "VirtualService");
  expect(generated).toHaveLength(1);
  expect(isUsersRoute(subjectOf([...manifests(), ...generated]))).toBe(false);
});

test("the revision depends on values, not on their order, and on every config", () => {
  const template = { metadata: { labels: { a: "1", b: "2" } }, spec: { containers: [{ name: "app" }] } };
  const turned = { spec: { containers: [{ name: "app" }] }, metadata: { labels: { b: "2", a: "1" } } };
  expect(revisionOf(template, {})).toBe(revisionOf(turned, {}));
  expect(revisionOf(template, { "configmap/x": "1" })).not.toBe(revisionOf(template, { "configmap/x": "2" }));
});

function withWeights(route: VirtualService, weights: readonly [number, number]): VirtualService {
  const [first, ...rest] = route.spec.http ?? [];
  const shifted = first?.route?.map((destination, index) => ({
    ...destination,
    weight: weights[index] ?? 0,
  }));
  return { ...route, spec: { ...route.spec, http: [{ ...first, route: shifted ?? [] }, ...rest] } };
}
