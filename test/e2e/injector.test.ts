/** Injection and validation through the API server's own admission: selectors, order, refusals, a webhook that is away. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigMapKind, NamespaceKind, type Pod, PodKind, ServiceAccountKind } from "../../api/core.ts";
import { AuthorizationPolicyKind, CanaryKind } from "../../api/kinds.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import type { World } from "../../cli/demo/world.ts";
import { until } from "../../local/testing/until.ts";
import { rootConfigMap } from "../../mesh/ca/roots.ts";
import { envoyMissing } from "../support/envoy.ts";
import { cluster, openWorld } from "./support/world.ts";

type Labels = Readonly<Record<string, string>>;

describe.skipIf(envoyMissing !== undefined)(`admission${envoyMissing ? ` (${envoyMissing})` : ""}`, () => {
  let world: World;
  const namespaces = {
    enabled: { "istio-injection": "enabled" },
    revision: { "istio.io/rev": "default" },
    disabled: { "istio-injection": "disabled" },
    silent: {},
  } as const satisfies Record<string, Labels>;

  beforeAll(async () => {
    world = await openWorld();
    for (const [name, labels] of Object.entries(namespaces)) {
      await world.client.create(NamespaceKind, {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name, labels },
      });
      // A real server's pods need an account, which a controller makes.
      await until("the account is there", () => world.client.get(ServiceAccountKind, name, "default"));
    }
  });
  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
  });

  /** What the API server would store; nothing is run. */
  function admit(
    namespace: string,
    name: string,
    metadata: Partial<Pod["metadata"]> = {},
    spec: object = {},
  ) {
    const containers = [{ name: "app", image: "process://app", command: ["sleep", "60"] }];
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...metadata, name, namespace },
      spec: { containers, ...spec },
    } as Pod;
    return world.client.create(PodKind, pod, { dryRun: true });
  }
  const sidecarOf = ({ spec }: Pod) => spec?.initContainers?.find(({ name }) => name === "istio-proxy");

  const yes = { "sidecar.istio.io/inject": "true" };
  const no = { "sidecar.istio.io/inject": "false" };
  test.for([
    ["enabled", {}, true],
    ["enabled", no, false],
    ["revision", {}, true],
    ["revision", no, false],
    ["disabled", {}, false],
    ["disabled", yes, false],
    ["silent", {}, false],
    ["silent", yes, true],
    ["silent", { "istio.io/rev": "default" }, true],
    ["silent", { "istio.io/rev": "other" }, false],
    ["istio-system", yes, false],
  ] as const)("a pod of namespace %s with labels %o: sidecar %s", async ([namespace, labels, wanted]) => {
    await until("accounts are there", () => world.client.get(ServiceAccountKind, namespace, "default"));
    const pod = await admit(namespace, "one", { labels });
    expect(sidecarOf(pod) !== undefined).toBe(wanted);
  });

  test("the sidecar is native, starts before the application, and proves itself by a token of its own", async () => {
    const pod = await admit("enabled", "one", { labels: { app: "one" } });
    const sidecar = sidecarOf(pod);
    expect(sidecar).toMatchObject({
      restartPolicy: "Always",
      image: expect.stringContaining("fairlead/proxy:"),
    });
    expect(pod.metadata.labels).toMatchObject({ "security.istio.io/tlsMode": "istio" });
    const token = pod.spec?.volumes?.find(({ name }) => name === "istio-token");
    expect(token?.projected?.sources?.[0]).toMatchObject({ serviceAccountToken: { audience: "istio-ca" } });
  });

  test("probes go to the agent, so that no policy can fail them", async () => {
    const probe = { httpGet: { path: "/ready", port: 8080 } };
    const app = { name: "app", image: "process://app", command: ["sleep", "60"], readinessProbe: probe };
    const pod = await admit("enabled", "probed", {}, { containers: [app] });
    expect(pod.spec?.containers[0]?.readinessProbe?.httpGet).toMatchObject({
      path: "/app-health/app/readyz",
      port: 15020,
    });
  });

  test("a container in the sidecar's place is refused, in words that say what to do", async () => {
    const app = { name: "istio-proxy", image: "process://app", command: ["sleep", "60"] };
    await expect(admit("enabled", "impostor", {}, { containers: [app] })).rejects.toThrow(
      /admission webhook "namespace\.sidecar-injector\.istio\.io" denied the request: container `istio-proxy` is the sidecar's name/,
    );
  });

  test("every namespace gets the mesh's root, and gets it back", async () => {
    const root = () => world.client.get(ConfigMapKind, "silent", rootConfigMap);
    const first = await until("it is published", root);
    await world.client.delete(ConfigMapKind, "silent", rootConfigMap);
    const second = await until("it is published again", root);
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    expect(second.data).toEqual(first.data);
  });

  test("a policy that cannot be read is refused with its path, a good one is stored", async () => {
    const policy = (methods: readonly string[], paths: readonly string[]) =>
      ({
        apiVersion: "security.istio.io/v1",
        kind: "AuthorizationPolicy",
        metadata: { name: "web", namespace: "silent" },
        spec: { action: "ALLOW", rules: [{ to: [{ operation: { methods, paths } }] }] },
      }) as const;
    await expect(world.client.create(AuthorizationPolicyKind, policy(["GET"], ["/a/{*}b"]))).rejects.toThrow(
      /paths/,
    );
    const stored = await world.client.create(AuthorizationPolicyKind, policy(["GET"], ["/a/{*}"]));
    expect(stored.metadata.uid).toBeDefined();
  });

  test("without a control plane a meshed pod is refused, others and canaries go on", async () => {
    await world.crash();
    if (cluster === "real") {
      await expect(admit("enabled", "alone")).rejects.toThrow(/failed calling webhook/);
      expect(sidecarOf(await admit("disabled", "alone"))).toBeUndefined();
      const canary = { ...manifests.canary(), metadata: { name: "shop", namespace: "silent" } };
      const stored = await world.client.create(CanaryKind, canary as never, { dryRun: true });
      expect(stored.metadata.name).toBe("shop");
    } else {
      // The embedded API is part of the control plane: there is nobody to ask.
      await expect(admit("enabled", "alone")).rejects.toThrow();
    }
    await world.restart();
    await until("pods are admitted again", () => admit("enabled", "alone").catch(() => undefined), 30_000);
    expect(sidecarOf(await admit("enabled", "alone"))).toBeDefined();
  });
});
