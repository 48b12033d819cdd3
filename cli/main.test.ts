/** The real program, as a user starts it, against the API server that fairlead carries. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { CustomResourceDefinitionKind, NamespaceKind } from "../api/core.ts";
import { crds } from "../api/crds.ts";
import { CanaryKind } from "../api/kinds.ts";
import { createClient } from "../kube/client.ts";
import type { Client } from "../kube/contract.ts";
import { discoverKind } from "../kube/discovery.ts";
import { createRecorder } from "../kube/events.ts";
import { createPatchStatus } from "../kube/patch-status.ts";
import { silent } from "../lib/log.ts";
import { type Kubernetes, serveKubernetes } from "../local/apiserver/serve.ts";
import { version } from "./version.ts";

let folder: string;
let server: Kubernetes;
let client: Client;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "fairlead-cli-"));
  server = await serveKubernetes({
    dataDir: join(folder, "state"),
    host: "127.0.0.1",
    port: 0,
    logger: silent,
  });
  writeFileSync(join(folder, "kubeconfig"), server.kubeconfig());
  writeFileSync(join(folder, "canary.yaml"), manifest);
  client = createClient(server.connection());
  await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "demo" } });
  for (const crd of crds) await client.create(CustomResourceDefinitionKind, crd);
  await vi.waitUntil(() => discoverKind(client, "flagger.app/v1beta1", "Canary"));
});

afterAll(async () => {
  await client.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const manifest = `
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: { name: shop, namespace: demo }
spec:
  targetRef: { apiVersion: apps/v1, kind: Deployment, name: shop }
  service: { port: 80 }
  analysis: { interval: 1s, threshold: 5, maxWeight: 50, stepWeight: 10 }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { a: "1" }
`;

const main = join(import.meta.dirname, "main.ts");

function start(args: readonly string[], program: readonly string[] = [main]): ChildProcess {
  // HOME: what the person at this machine runs is nobody's business here.
  const env = {
    ...process.env,
    HOME: folder,
    KUBECONFIG: join(folder, "kubeconfig"),
    NO_COLOR: "1",
    FORCE_COLOR: undefined,
  };
  return spawn(process.execPath, [...program, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
}

async function fairlead(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = start(args);
  let out = "";
  let err = "";
  child.stdout?.on("data", (chunk) => (out += String(chunk)));
  child.stderr?.on("data", (chunk) => (err += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

const setStatus = (status: Record<string, unknown>) =>
  createPatchStatus(client)(CanaryKind, { namespace: "demo", name: "shop" }, () => status);

test("help names every command, and no command is wrong use", async () => {
  const help = await fairlead("--help");
  expect(help.code).toBe(0);
  for (const command of [
    "demo",
    "up",
    "down",
    "status",
    "check",
    "get",
    "describe",
    "wait",
    "why",
    "events",
    "logs",
    "apply",
    "delete",
    "version",
  ]) {
    expect(help.out).toMatch(new RegExp(`^  ${command} `, "m"));
  }
  expect(await fairlead()).toMatchObject({ code: 2 });
});

test.for([
  [["gett", "canaries"], "error: unknown command 'gett' (Did you mean get?)"],
  [["get"], "error: missing required argument 'kind'; see `fairlead get --help`"],
  [["get", "canaries", "--wathc"], "error: unknown option '--wathc' (Did you mean --watch?)"],
  [
    ["get", "canaries", "-o", "xml"],
    "error: option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are table, json, yaml.",
  ],
  [
    ["wait", "canary", "shop", "--timeout", "soon"],
    "error: option '--timeout <duration>' argument 'soon' is invalid. say a duration such as `90s` or `1h`.",
  ],
  [["up", "--network", "foo"], "error: --network `foo`: say `loopback`, `netns` or `auto`"],
  [
    ["up", "--log-level", "loud"],
    "error: option '--log-level <level>' argument 'loud' is invalid. Allowed choices are debug, info, warn, error.",
  ],
  [
    ["up", "-o", "xml"],
    "error: option '-o, --output <form>' argument 'xml' is invalid. Allowed choices are text, json.",
  ],
  [["up", "--config", "/nowhere.yaml"], "error: cannot read /nowhere.yaml: it does not exist"],
  [
    ["mesh", "render", "-f", "."],
    "error: required option '--proxy <node>' not specified; see `fairlead mesh render --help`",
  ],
  [
    ["set-weight", "shop", "120"],
    "error: <percent> '120' is invalid. say a whole number of percent from 1 to 100; `abort` takes the canary to 0.",
  ],
  [
    ["promote", "shop", "20"],
    "error: too many arguments for 'promote'. Expected 1 argument but got 2: shop, 20; see `fairlead promote --help`",
  ],
  [["serve", "--rooms", "cellar"], "error: --rooms `cellar`: say `controller`, `mesh`, `webhooks`, `all`"],
  [["describe", "pod", "x"], "error: this command knows canaries only, not `pod`"],
  [["apply", "-f", "nothing.yaml"], "error: cannot read nothing.yaml: it does not exist"],
  [["policy", "test", "-f", "/"], "error: cannot read /: it is a folder"],
] as const)("wrong use is told and is exit code 2: %s", async ([args, words]) => {
  expect(await fairlead(...args)).toEqual({ code: 2, out: "", err: `${words}\n` });
});

test("an unreachable server is one line with what to do; --verbose adds the stack", async () => {
  const kubeconfig = join(folder, "nobody");
  writeFileSync(kubeconfig, server.kubeconfig().replace(/server: .*/, "server: https://127.0.0.1:1"));
  const told = await fairlead("get", "canaries", "--kubeconfig", kubeconfig);
  expect(told).toMatchObject({ code: 1, out: "" });
  expect(told.err).toMatch(
    /^error: cannot reach the Kubernetes API at https:\/\/127\.0\.0\.1:1: .*`fairlead up` starts one\n$/,
  );
  expect((await fairlead("get", "canaries", "--kubeconfig", kubeconfig, "--verbose")).err).toContain(
    "\n    at ",
  );
});

test("a canary is applied, listed, described and deleted", async () => {
  const file = join(folder, "canary.yaml");
  expect(await fairlead("apply", "-f", file, "--dry-run", "-n", "demo")).toMatchObject({
    code: 0,
    out: "canary.flagger.app/shop would be created\nconfigmap/settings would be created\n",
  });
  expect(await fairlead("apply", "-f", file, "-n", "demo")).toEqual({
    code: 0,
    out: "canary.flagger.app/shop created\nconfigmap/settings created\n",
    err: "",
  });
  expect((await fairlead("apply", "-f", file, "-n", "demo")).out).toBe(
    "canary.flagger.app/shop unchanged\nconfigmap/settings unchanged\n",
  );

  await setStatus({
    phase: "Progressing",
    canaryWeight: 20,
    failedChecks: 1,
    checks: [{ name: "request-success-rate", result: "passed", value: 99.9, limit: ">= 99" }],
  });
  const table = await fairlead("-n", "demo", "get", "canary");
  expect(table.out.split("\n")[0]).toMatch(/^NAME +PHASE +WEIGHT +FAILED CHECKS +SINCE +REASON$/);
  expect(table.out.split("\n")[1]).toMatch(/^shop +Progressing +20 % +1 of 5 +\d+s$/);
  const json = await fairlead("get", "canary", "shop", "-n", "demo", "-o", "json");
  expect(JSON.parse(json.out)).toMatchObject({
    kind: "Canary",
    metadata: { name: "shop" },
    status: { phase: "Progressing" },
  });
  const list = await fairlead("get", "canaries", "-A", "-o", "json");
  expect(JSON.parse(list.out)).toMatchObject({ kind: "List", items: [{ metadata: { name: "shop" } }] });
  expect((await fairlead("get", "canary", "shop", "-n", "demo", "-o", "yaml")).out).toContain(
    "\nkind: Canary\n",
  );
  expect((await fairlead("get", "configmaps", "-n", "demo")).out).toMatch(
    /^NAME +DATA +AGE\n(.*\n)*settings +1 /,
  );

  const canary = await client.get(CanaryKind, "demo", "shop");
  const recorder = createRecorder(client, silent);
  if (canary) recorder.event(canary, "Normal", "Synced", "Advance shop.demo canary weight 20");
  await recorder.flush();
  const described = await fairlead("describe", "canary", "shop", "-n", "demo");
  expect(described.out).toMatch(/^Weights: +primary 80 %, canary 20 % {2}░{16}█{4}$/m);
  expect(described.out).toMatch(/request-success-rate +passed +99\.9 +>= 99/);
  expect(described.out).toMatch(/Normal +Synced +canary\/shop +Advance shop\.demo canary weight 20/);
  expect((await fairlead("events", "-n", "demo", "--for", "canary/shop")).out).toContain(
    "Advance shop.demo canary weight 20",
  );
  expect((await fairlead("why", "shop", "-n", "demo")).out).toMatch(/^shop is at 20 % of the traffic/);

  expect(await fairlead("get", "canary", "shop")).toEqual({
    code: 1,
    out: "",
    err: "error: canary `shop` does not exist in namespace `default`; there is one in `demo` (-n)\n",
  });
  expect((await fairlead("delete", "-f", file, "-n", "demo")).out).toBe(
    "configmap/settings deleted\ncanary.flagger.app/shop deleted\n",
  );
  expect(await fairlead("get", "canaries", "-n", "demo")).toEqual({
    code: 0,
    out: "",
    err: "no canaries found in namespace demo (-A for all)\n",
  });
}, 60_000);

test("what the schema forbids is told with its place, and the rest is applied", async () => {
  const file = join(folder, "wrong.yaml");
  writeFileSync(file, manifest.replace("threshold: 5", "threshold: five"));
  const told = await fairlead("apply", "-f", file, "-n", "demo");
  expect(told).toMatchObject({ code: 1, out: "configmap/settings created\n" });
  expect(told.err).toMatch(/wrong\.yaml:2: Canary shop: .*spec\.analysis\.threshold/);
});

test("wait ends with the release: promoted, rolled back, timed out, never started", async () => {
  await fairlead("apply", "-f", join(folder, "canary.yaml"), "-n", "demo");
  const wait = (...more: string[]) => fairlead("wait", "canary", "shop", "-n", "demo", ...more);
  expect(await wait("--timeout", "100ms")).toMatchObject({
    code: 4,
    out: "shop: no release has begun: no controller has seen it: is one running?\n",
  });
  await setStatus({ phase: "Progressing", canaryWeight: 10 });
  expect(await wait("--timeout", "100ms")).toMatchObject({
    code: 3,
    out: "shop: timed out in phase Progressing\n",
  });
  const watched = start(["get", "canary", "shop", "-n", "demo", "-w", "-o", "json"]);
  let seen = "";
  watched.stdout?.on("data", (chunk) => (seen += String(chunk)));
  const waiting = wait("--timeout", "30s");
  await expect.poll(() => seen, { timeout: 5_000 }).toContain('"canaryWeight":10');
  await setStatus({ phase: "Failed", failure: { reason: "TripWire", message: "10 of 10 attempts failed" } });
  expect(await waiting).toMatchObject({
    code: 2,
    out: "shop: rolled back: TripWire: 10 of 10 attempts failed\n",
  });
  await expect
    .poll(() =>
      seen
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { status: { phase: string } }).status.phase),
    )
    .toEqual(["Progressing", "Failed"]);
  watched.kill("SIGINT");
  await setStatus({ phase: "Succeeded" });
  expect(await wait()).toMatchObject({ code: 0, out: "shop: promoted\n" });
  expect(await wait("--for", "phase=succeeded")).toMatchObject({ code: 0 });
}, 60_000);

test("versions are one object on stdout", async () => {
  const { out } = await fairlead("version", "-o", "json");
  expect(JSON.parse(out)).toMatchObject({
    fairlead: version,
    node: process.versions.node,
    kubernetes: expect.stringMatching(/^v1\./) as unknown,
  });
});

test("the bin starts it as well, exit code included", async () => {
  const child = start(["gett"], [join(import.meta.dirname, "bin", "fairlead.js")]);
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(2);
});
