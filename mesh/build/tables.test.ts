import { expect, test } from "vitest";
import type { KubeObject } from "../../api/resource.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { anyCaller } from "../model/caller.ts";
import { defaultSettings } from "../model/model.ts";
import { createTranslator } from "../translate/translate.ts";
import { createTablesBuilder, type Tables } from "./tables.ts";

function service(name: string): KubeObject {
  const metadata = { name, namespace: "demo" };
  const spec = { clusterIP: "10.96.0.1", ports: [{ name: "http", port: 80 }] };
  return { apiVersion: "v1", kind: "Service", metadata, spec } as KubeObject;
}

function route(name: string, spec: object, live = false): KubeObject {
  const host = (of: string) => `${of}.demo.svc.cluster.local`;
  const canary = { namespace: "demo", name, uid: "u" };
  const mark = { canary, run: "r", revision: "r", primaryHost: host("a"), canaryHost: host("b") };
  const annotations = live ? { "fairlead.dev/run": JSON.stringify(mark) } : {};
  const metadata = { name, namespace: "demo", annotations };
  return { apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata, spec } as KubeObject;
}

const split = (hosts: string[], weight: number) => ({
  hosts,
  http: [
    {
      route: [
        { destination: { host: "a" }, weight: 100 - weight },
        { destination: { host: "b" }, weight },
      ],
    },
  ],
});

const services = ["a", "b", "shop", "other"].map(service);
const other = route("other", split(["other", "elsewhere.example"], 50));
const tcp = { hosts: ["shop"], tcp: [{ route: [{ destination: { host: "a" } }] }] };

/** Route objects of one model after another: what follows differs from what was before in one thing each. */
const steps: readonly (readonly KubeObject[])[] = [
  [route("shop", split(["shop"], 0)), other],
  [route("shop", split(["shop"], 10)), other],
  [route("shop", split(["shop"], 10), true), other],
  [route("shop", split(["shop"], 60), true), other],
  [route("shop", split(["shop"], 60), true), route("other", split(["other", "elsewhere.example"], 20))],
  [route("shop", split(["shop", "more.example"], 60)), other],
  [route("shop", split(["*.example"], 60)), other],
  [route("shop", tcp), other],
  [other],
  [route("shop", split(["shop"], 0)), other],
];

/** What proxies get of tables. */
function told({ runtime, plain, keys }: Tables) {
  const versions = (resources: Tables["runtime"]) => resources.map(({ name, version }) => [name, version]);
  return [versions(runtime), versions(plain()), [...keys]];
}

test.for(["NONE", "REDIRECT"] as const)(
  "tables that follow changes are those built anew (%s)",
  (interception) => {
    const translate = createTranslator(defaultSettings);
    const following = createTablesBuilder();
    const caller = anyCaller("demo");
    let from: ReturnType<typeof translate>["model"] | undefined;
    const seen = new Set<string>();
    for (const [index, routes] of steps.entries()) {
      const { model } = translate(snapshotOf([...services, ...routes]));
      following.turn(from, model);
      from = model;
      const tables = told(following.build(model, caller, interception));
      const anew = createTablesBuilder().build(model, caller, interception);
      expect(tables, `step ${index}`).toEqual(told(anew));
      seen.add(JSON.stringify(tables));
    }
    // The last is the first again, and a route of TCP alone leaves HTTP as none does.
    expect(seen.size).toBe(steps.length - 2);
  },
);
