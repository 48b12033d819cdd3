import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  DeploymentKind,
  EndpointSliceKind,
  type Pod,
  PodKind,
  ReplicaSetKind,
  ServiceKind,
} from "../api/core.ts";
import { type LocalKubernetes, startKubernetes } from "./index.ts";
import { deployment, pod, webServer } from "./testing/manifests.ts";
import { processesNaming } from "./testing/processes.ts";
import { until } from "./testing/until.ts";

let folder: string;
let kubernetes: LocalKubernetes;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "fairlead-local-"));
  kubernetes = await startKubernetes({
    dataDir: folder,
    backOff: { initial: 300, maximum: 1000, resetAfter: 60_000 },
  });
});

afterAll(async () => {
  await kubernetes.stopAll();
  expect(processesNaming(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});

const getPod = (name: string) => kubernetes.client.get(PodKind, "default", name);
const isReady = (object: Pod | undefined) =>
  object?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;

async function ask(ip: string): Promise<string> {
  return (await fetch(`http://${ip}:8080/`)).text();
}

async function readyEndpoints(service: string): Promise<string[]> {
  const selector = { namespace: "default", labelSelector: `kubernetes.io/service-name=${service}` };
  const { items } = await kubernetes.client.list(EndpointSliceKind, selector);
  const endpoints = items.flatMap(({ endpoints: list }) => list ?? []);
  return endpoints.filter(({ conditions }) => conditions?.ready).flatMap(({ addresses }) => addresses);
}

test("a Deployment serves, rolls without losing its last ready endpoint, and scales to nothing", async () => {
  const { client } = kubernetes;
  await client.create(ServiceKind, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "default", name: "web" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  });
  await client.create(DeploymentKind, deployment("web", webServer("v1")));
  const first = await until("two ready endpoints", async () => {
    const ips = await readyEndpoints("web");
    return ips.length === 2 && ips;
  });
  expect(await Promise.all(first.map(ask))).toEqual(["v1", "v1"]);

  const template = deployment("web", webServer("v2")).spec?.template;
  await client.patch(DeploymentKind, "default", "web", { kind: "merge", body: { spec: { template } } });
  let fewest = 2;
  await until("the new version alone", async () => {
    const ips = await readyEndpoints("web");
    fewest = Math.min(fewest, ips.length);
    const { status, metadata } = (await client.get(DeploymentKind, "default", "web")) ?? { metadata: {} };
    const done = status?.conditions?.some(({ reason }) => reason === "NewReplicaSetAvailable");
    return done && status?.observedGeneration === metadata.generation && status?.updatedReplicas === 2;
  });
  expect(fewest).toBe(2);
  expect(await Promise.all((await readyEndpoints("web")).map(ask))).toEqual(["v2", "v2"]);

  await client.patch(
    DeploymentKind,
    "default",
    "web",
    { kind: "merge", body: { spec: { replicas: 0 } } },
    "scale",
  );
  await until(
    "no pods",
    async () => (await client.list(PodKind, { labelSelector: "app=web" })).items.length === 0,
  );
  expect(processesNaming(join(folder, "pods"))).toEqual([]);
  await client.delete(DeploymentKind, "default", "web");
  await until(
    "no ReplicaSets",
    async () => (await client.list(ReplicaSetKind, { namespace: "default" })).items.length === 0,
  );
});

test("a container that keeps failing is held back, and says how it ended", async () => {
  await kubernetes.client.create(PodKind, pod("crash", "echo tick; exit 3"));
  const held = await until("CrashLoopBackOff", async () => {
    const [status] = (await getPod("crash"))?.status?.containerStatuses ?? [];
    return status?.state?.waiting?.reason === "CrashLoopBackOff" && status.restartCount >= 2 && status;
  });
  expect(held.lastState?.terminated).toMatchObject({ exitCode: 3, reason: "Error" });
  expect(held.state?.waiting?.message).toMatch(/^back-off .* restarting failed container=main/);
  expect(await kubernetes.client.text("/api/v1/namespaces/default/pods/crash/log?previous=true")).toBe(
    "tick\n",
  );
  await kubernetes.client.delete(PodKind, "default", "crash");
  await until("it is gone", async () => (await getPod("crash")) === undefined);
});

test("an image without a command says what to do", async () => {
  await kubernetes.client.create(
    PodKind,
    pod("pulled", { containers: [{ name: "main", image: "nginx:1.27" }] }),
  );
  const waiting = await until("a reason", async () => {
    const state = (await getPod("pulled"))?.status?.containerStatuses?.[0]?.state?.waiting;
    return state?.reason === "ImagePullBackOff" && state;
  });
  expect(waiting.message).toContain("images are not pulled on this machine (`nginx:1.27`)");
  await kubernetes.client.delete(PodKind, "default", "pulled");
});

test("deletion runs preStop, then SIGTERM, and kills what ignores it when the grace period ends", async () => {
  const record = join(folder, "deletion");
  const main = `trap 'echo term >>${record}' TERM; echo up >>${record}; while :; do sleep 0.05; done`;
  const [container] = pod("stubborn", main).spec?.containers ?? [];
  if (!container) throw new Error("no container");
  const lifecycle = { preStop: { exec: { command: ["sh", "-c", `echo preStop >>${record}`] } } };
  await kubernetes.client.create(
    PodKind,
    pod("stubborn", { terminationGracePeriodSeconds: 1, containers: [{ ...container, lifecycle }] }),
  );
  await until("it runs", async () => isReady(await getPod("stubborn")) && readOr(record).includes("up"));
  const began = performance.now();
  await kubernetes.client.delete(PodKind, "default", "stubborn");
  await until("it is gone", async () => (await getPod("stubborn")) === undefined);
  const lines = readOr(record).trim().split("\n");
  expect(lines.slice(0, 2)).toEqual(["up", "preStop"]);
  expect(lines).toContain("term");
  expect(performance.now() - began).toBeGreaterThan(1000);
  expect(processesNaming(record)).toEqual([]);
});

test("a sidecar starts before the application, takes the pod's address, and ends after it", async () => {
  const record = join(folder, "sidecar");
  const say = (who: string) =>
    `trap 'echo ${who} ends >>${record}; exit 0' TERM; echo ${who} $HOST $FAIRLEAD_APP_ADDRESS >>${record}; while :; do sleep 0.05; done`;
  const sidecar = {
    name: "istio-proxy",
    image: "proxy",
    restartPolicy: "Always",
    command: ["sh", "-c", `sleep 0.3; ${say("proxy")}`],
    startupProbe: {
      exec: { command: ["grep", "-q", "proxy", record] },
      periodSeconds: 1,
      failureThreshold: 20,
    },
  };
  const app = { name: "app", image: "app", command: ["sh", "-c", say("app")] };
  await kubernetes.client.create(PodKind, pod("meshed", { initContainers: [sidecar], containers: [app] }));
  const running = await until("it is ready", async () => {
    const object = await getPod("meshed");
    return isReady(object) && readOr(record).includes("app ") && object;
  });
  const ip = running.status?.podIP ?? "";
  const [a, b, c, d] = ip.split(".");
  const application = `${a}.${b}.${Number(c) + 128}.${d}`;
  await kubernetes.client.delete(PodKind, "default", "meshed");
  await until("it is gone", async () => (await getPod("meshed")) === undefined);
  expect(readOr(record).trim().split("\n")).toEqual([
    `proxy ${ip} ${application}`,
    `app ${application}`,
    "app ends",
    "proxy ends",
  ]);
});

test("a job's pod runs its init containers in order, with its token, and succeeds", async () => {
  const [init, main] = ["one", "two"].map((name) => ({
    name,
    image: "sh",
    command: ["sh", "-c", `echo ${name} >>${join(folder, "order")}`],
  }));
  if (!init || !main) throw new Error("no containers");
  const tokens = {
    projected: { sources: [{ serviceAccountToken: { path: "token", audience: "istio-ca" } }] },
  };
  const mounts = `node -p 'require("fs").readFileSync(JSON.parse(process.env.FAIRLEAD_MOUNTS)["/var/t"] + "/token", "utf8").split(".").length'`;
  await kubernetes.client.create(
    PodKind,
    pod("job", {
      restartPolicy: "Never",
      initContainers: [init, main],
      volumes: [{ name: "t", ...tokens }],
      containers: [
        {
          name: "main",
          image: "sh",
          command: ["sh", "-c", mounts],
          volumeMounts: [{ name: "t", mountPath: "/var/t" }],
        },
      ],
    }),
  );
  await until("it succeeded", async () => (await getPod("job"))?.status?.phase === "Succeeded");
  expect(readOr(join(folder, "order"))).toBe("one\ntwo\n");
  expect(await kubernetes.client.text("/api/v1/namespaces/default/pods/job/log?container=main")).toBe("3\n");
});

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
