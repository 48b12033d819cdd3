import { expect, test } from "vitest";
import { readCanary } from "../../api/canary/read.ts";
import type { Deployment } from "../../api/core.ts";
import type { Canary } from "../../api/kinds.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { planCanary } from "../plan.ts";
import { chooseRouter } from "../routers/choose.ts";
import { defaultSettings } from "../settings.ts";
import { canary, deployment } from "../testing/cluster.ts";
import { foretellAdoption } from "./adopt.ts";
import { createFlaggers, defaultFlaggerNamespaces, readFlagger } from "./flagger.ts";

function flagger(namespace: string, image: string, args: readonly string[] = [], replicas = 1): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace, name: "flagger" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "flagger" } },
      template: { spec: { containers: [{ name: "flagger", image, args }] } },
    },
  };
}

test.for([
  ["ghcr.io/fluxcd/flagger:1.44.0", true],
  ["registry.example:5000/mirror/flagger@sha256:ab", true],
  ["ghcr.io/fluxcd/flagger-loadtester:0.38.0", false],
  ["example.com/notflagger:1", false],
] as const)("%s is Flagger: %s", ([image, expected]) => {
  expect(readFlagger(flagger("flagger-system", image)) !== undefined).toBe(expected);
});

test("its flags are read, and one without pods drives nothing", () => {
  const found = readFlagger(
    flagger("istio-system", "fluxcd/flagger", ["-mesh-provider=istio", "-namespace", "shop"]),
  );
  expect(found).toMatchObject({ deployment: "istio-system/flagger", scope: "shop" });
  expect(found?.flags.get("mesh-provider")).toBe("istio");
  expect(readFlagger(flagger("istio-system", "fluxcd/flagger", [], 0))).toBeUndefined();
});

test("a Flagger in a tenant's namespace stops nobody else's releases", () => {
  const flaggers = createFlaggers(defaultFlaggerNamespaces);
  flaggers.seen(flagger("tenant", "evil/flagger"), false);
  expect(flaggers.beside("shop")).toBeUndefined();
  expect(flaggers.beside("tenant")).toBeDefined();
  expect(flaggers.seen(flagger("flagger-system", "fluxcd/flagger"), false)).toBe(true);
  expect(flaggers.beside("shop")).toBeDefined();
  expect(flaggers.seen(flagger("flagger-system", "fluxcd/flagger", [], 0), false)).toBe(true);
  expect(flaggers.beside("shop")).toBeUndefined();
});

/** A Canary as Flagger left it, with the primary that it made of `primaryImage`. */
function taken(status: Canary["status"], image: string, primaryImage: string) {
  const object = { ...canary("shop", { interval: "10s", threshold: 5, stepWeight: 10 }), status };
  const { value } = readCanary(object);
  if (value === undefined) throw new Error("it cannot be read");
  const before = deployment("shop", primaryImage);
  const made = planCanary(value, snapshotOf([before]), chooseRouter(value), defaultSettings).objects;
  const objects = made.map((one) => one.object);
  return foretellAdoption(value, snapshotOf([...objects, deployment("shop", image)]), defaultSettings);
}

const flaggersHash = { lastAppliedSpec: "6f7c9b8d4", lastPromotedSpec: "6f7c9b8d4" };

test("equal target and primary are adopted without a run, others are analysed, releases are waited for", () => {
  expect(taken({ phase: "Succeeded", ...flaggersHash }, "app:1", "app:1")).toMatchObject({ kind: "adopted" });
  expect(taken({ phase: "Succeeded", ...flaggersHash }, "app:2", "app:1")).toMatchObject({
    kind: "released",
  });
  expect(taken({ phase: "Failed", ...flaggersHash }, "app:2", "app:1")).toMatchObject({ kind: "adopted" });
  expect(taken({ phase: "Progressing", canaryWeight: 20, ...flaggersHash }, "app:2", "app:1")).toMatchObject({
    kind: "under-way",
    message: "in phase Progressing at weight 20: wait for its end",
  });
});
