/** The real kubectl on a whole `fairlead up`: a person's day with canaries, deployments and pods. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as manifests from "../../cli/demo/manifests.ts";
import type { World } from "../../cli/demo/world.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { createKubectl, type Kubectl, kubectlMissing } from "./support/kubectl.ts";
import { cluster, openWorld } from "./support/world.ts";

const missing = envoyMissing ?? kubectlMissing;

describe.skipIf(missing !== undefined)(`kubectl on a control plane${missing ? ` (${missing})` : ""}`, () => {
  let world: World;
  let kubectl: Kubectl;
  const n = ["-n", manifests.namespace];

  beforeAll(async () => {
    world = await openWorld();
    kubectl = createKubectl(world.ready.kubeconfig, world.folder);
  });
  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
  });

  /** Standard output of a command that succeeds. */
  async function kubectlOut(...words: string[]): Promise<string> {
    const { code, out, err } = await kubectl(...words);
    expect(code, err).toBe(0);
    return out;
  }

  test("apply creates a release in the mesh, wait tells when it is guarded", async () => {
    const { out, err } = await kubectl.apply(
      manifests.namespaceManifest(),
      manifests.serviceAccount("shop"),
      manifests.shop("1"),
      quick(),
    );
    expect(err).toBe("");
    expect(out).toBe(
      "namespace/demo created\nserviceaccount/shop created\ndeployment.apps/shop created\ncanary.flagger.app/shop created\n",
    );
    const waited = await kubectlOut("wait", ...n, "--for=condition=Promoted", "--timeout=60s", "canary/shop");
    expect(waited).toBe("canary.flagger.app/shop condition met\n");
    expect(await kubectlOut("apply", ...n, "--dry-run=server", "-f", manifestFile(), "-o", "name")).toBe(
      "namespace/shop\n",
    );
  });

  test("get shows canaries, deployments and pods with people's columns", async () => {
    expect(await kubectlOut("get", "canaries", ...n)).toMatch(
      /^NAME\s+STATUS\s+WEIGHT\s+LASTTRANSITIONTIME\nshop\s+Initialized\s+0\s+\S+\n$/,
    );
    expect(await kubectlOut("get", "deploy", ...n)).toMatch(/^shop-primary\s+2\/2\s+2\s+2\s+\S+$/m);
    expect(await kubectlOut("get", "pods", ...n)).toMatch(/^shop-primary-\S+\s+2\/2\s+Running\s+0\s+\S+$/m);
    expect(await kubectlOut("get", "pods", ...n, "-o", "wide")).toMatch(/\s(127|10)\.\d+\.\d+\.\d+\s/);
    expect(await kubectlOut("get", "svc,virtualservice", ...n, "-o", "name")).toBe(
      "service/shop\nservice/shop-canary\nservice/shop-primary\nvirtualservice.networking.istio.io/shop\n",
    );
    expect(await kubectlOut("get", "canary", "shop", ...n, "-o", "jsonpath={.status.phase}")).toBe(
      "Initialized",
    );
  });

  test("logs shows a container's output, and says which containers there are", async () => {
    const pod =
      (await kubectlOut("get", "pods", ...n, "-l", "app=shop-primary", "-o", "name")).split("\n")[0] ?? "";
    expect((await kubectl("logs", ...n, pod, "-c", "shop")).code).toBe(0);
    const wrong = await kubectl("logs", ...n, pod, "-c", "nothing");
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain("container nothing is not valid for pod");
  });

  test("patch of a deployment starts a release; wait follows it to its end", async () => {
    const patch = [{ op: "replace", path: "/spec/template/spec/containers/0/env/0/value", value: "2" }];
    expect(
      await kubectlOut("patch", "deploy", "shop", ...n, "--type=json", "-p", JSON.stringify(patch)),
    ).toBe("deployment.apps/shop patched\n");
    await kubectlOut(
      "wait",
      ...n,
      "--for=jsonpath={.status.phase}=Progressing",
      "--timeout=30s",
      "canary/shop",
    );
    await kubectlOut(
      "wait",
      ...n,
      "--for=jsonpath={.status.phase}=Succeeded",
      "--timeout=60s",
      "canary/shop",
    );
    const images = await kubectlOut(
      "get",
      "deploy",
      "shop-primary",
      ...n,
      "-o",
      "jsonpath={.spec.template.spec.containers[0].env[0].value}",
    );
    expect(images).toBe("2");
  });

  test("describe tells a canary's conditions and what happened", async () => {
    // The last event is written behind the status.
    const text = await until("the last event is told", async () => {
      const told = await kubectlOut("describe", "canary", "shop", ...n);
      return told.includes("Promotion completed!") && told;
    });
    expect(text).toMatch(/Phase:\s+Succeeded/);
    expect(text).toMatch(/Type:\s+Promoted/);
    expect(text).toMatch(/New revision detected!/);
    expect(await kubectlOut("describe", "pod", ...n, "-l", "app=shop-primary")).toMatch(
      /istio-proxy:[\s\S]*State:\s+Running[\s\S]*shop:[\s\S]*Ready:\s+True/,
    );
    expect(await kubectlOut("get", "events", ...n)).toMatch(/canary\/shop/);
  });

  test("merge patch, label and annotate change a canary, and a wrong value is refused", async () => {
    await kubectlOut(
      "patch",
      "canary",
      "shop",
      ...n,
      "--type=merge",
      "-p",
      '{"spec":{"analysis":{"maxWeight":40}}}',
    );
    expect(await kubectlOut("get", "canary", "shop", ...n, "-o", "jsonpath={.spec.analysis.maxWeight}")).toBe(
      "40",
    );
    expect(await kubectlOut("label", "canary", "shop", ...n, "team=shop")).toContain("labeled");
    expect(await kubectlOut("get", "canary", "-A", "-l", "team=shop", "-o", "name")).toBe(
      "canary.flagger.app/shop\n",
    );
    expect(await kubectlOut("annotate", "canary", "shop", ...n, "note=a")).toContain("annotated");
    const { code, err } = await kubectl(
      "patch",
      "canary",
      "shop",
      ...n,
      "--type=merge",
      "-p",
      '{"spec":{"analysis":{"interval":"soon"}}}',
    );
    expect(code).toBe(1);
    expect(err).toContain('spec.analysis.interval: Invalid value: "soon"');
  });

  test("delete of a pod brings another, delete of a canary leaves the deployment", async () => {
    const pods = () => kubectlOut("get", "pods", ...n, "-l", "app=shop-primary", "-o", "name");
    const [first = ""] = (await pods()).split("\n");
    expect(await kubectlOut("delete", ...n, first)).toMatch(/^pod "shop-primary-\S+" deleted\n$/);
    await until(
      "two pods are ready again, without the deleted one",
      async () => {
        const now = await kubectlOut("get", "pods", ...n, "-l", "app=shop-primary", "--no-headers");
        return now.match(/2\/2\s+Running/g)?.length === 2 && !now.includes(first.slice("pod/".length));
      },
      30_000,
    );
    expect(await kubectlOut("delete", "canary", "shop", ...n)).toBe('canary.flagger.app "shop" deleted\n');
    await until(
      "what was made for it is gone",
      async () =>
        (await kubectlOut("get", "deploy,svc,virtualservice", ...n, "-o", "name")) ===
        "deployment.apps/shop\n",
      // A real garbage collector looks for new kinds twice a minute.
      cluster === "real" ? 90_000 : 15_000,
    );
    expect((await kubectl("delete", "namespace", manifests.namespace, "--timeout=50s")).code).toBe(0);
    expect((await kubectl("get", "namespace", manifests.namespace)).err).toContain(
      'namespaces "demo" not found',
    );
  });
});

/** The demo's Canary with steps of a second, and promoted without traffic. */
function quick(): object {
  const demo = manifests.canary() as { spec?: object; metadata: object };
  const analysis = { interval: "1s", threshold: 5, maxWeight: 50, stepWeight: 25 };
  return { ...demo, spec: { ...demo.spec, analysis } };
}

/** A manifest of the examples. */
function manifestFile(): string {
  return new URL("../../examples/canary/1-namespace.yaml", import.meta.url).pathname;
}
