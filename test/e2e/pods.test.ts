/** Pods as processes: what a person with kubectl sees of containers, probes, hooks and ends. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalKubernetes } from "../../local/index.ts";
import { processesNaming } from "../../local/testing/processes.ts";
import { until } from "../../local/testing/until.ts";
import { createKubectl, type Kubectl, kubectlMissing } from "./support/kubectl.ts";
import { startMachine } from "./support/machine.ts";
import { once, personWith, podOf } from "./support/pods.ts";

type Person = ReturnType<typeof personWith>;

describe.skipIf(kubectlMissing !== undefined)("pods", () => {
  let folder: string;
  let kubernetes: LocalKubernetes;
  let kubectl: Kubectl;
  let run: Person["run"];
  let apply: Person["apply"];
  let events: Person["events"];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-pods-"));
    const program = { command: ["sh", "-c"], args: ["echo $GREETING"], env: { GREETING: "hello" } };
    kubernetes = await startMachine(folder, { images: new Map([["example/hello", program]]) });
    kubectl = createKubectl(kubernetes.kubeconfig, folder);
    ({ run, apply, events } = personWith(kubectl));
  });
  afterAll(async () => {
    await kubernetes?.stopAll();
    expect(processesNaming(folder)).toEqual([]);
    rmSync(folder, { recursive: true, force: true });
  });

  const get = async (name: string, path: string) => run("get", "pod", name, "-o", `jsonpath={${path}}`);
  const terminated = (name: string) => get(name, ".status.containerStatuses[0].state.terminated");
  const ended = (name: string) =>
    run(
      "wait",
      "--for=jsonpath={.status.containerStatuses[0].state.terminated}",
      `pod/${name}`,
      "--timeout=20s",
    );

  test("an image is what fairlead.yaml says, or a program of this machine", async () => {
    await apply(once("mapped", { image: "example/hello:1.0" }));
    await apply(once("own-args", { image: "example/hello", args: ["echo $GREETING you"] }));
    await apply(once("program", { image: "process://node", args: ["-p", "1+1"] }));
    await apply(once("pulled", { image: "nginx:1" }));
    for (const name of ["mapped", "own-args", "program"]) await ended(name);
    expect(await run("logs", "mapped")).toBe("hello\n");
    expect(await run("logs", "own-args")).toBe("hello you\n");
    expect(await run("logs", "program")).toBe("2\n");
    await until("it says why", async () =>
      /ErrImagePull|ImagePullBackOff/.test(await run("get", "pod", "pulled", "--no-headers")),
    );
    await run("delete", "pod", "mapped", "own-args", "program", "pulled");
  });

  test("variables come from ConfigMaps, Secrets, the pod and each other", async () => {
    const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "env" }, data: { COLOR: "red" } };
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "env" },
      stringData: { WORD: "sesame" },
    };
    const env = [
      { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "TEAM", valueFrom: { fieldRef: { fieldPath: "metadata.labels['team']" } } },
      { name: "MEMORY", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
      { name: "PASS", valueFrom: { secretKeyRef: { name: "env", key: "WORD" } } },
      { name: "NONE", valueFrom: { configMapKeyRef: { name: "absent", key: "x", optional: true } } },
      { name: "ALL", value: "$(NAME) $(TEAM) $(CM_COLOR) $$(NAME)" },
    ];
    const envFrom = [{ prefix: "CM_", configMapRef: { name: "env" } }, { secretRef: { name: "env" } }];
    const script = 'echo "$ALL $MEMORY $PASS $WORD $(printenv NONE || echo unset) $SAID"';
    const resources = { limits: { memory: "64Mi" } };
    const command = ["sh", "-c", `SAID=$(SAID); ${script}`];
    const pod = once("variables", {
      command,
      env: [...env, { name: "SAID", value: "it" }],
      envFrom,
      resources,
    });
    await apply(config, secret, { ...pod, metadata: { ...pod.metadata, labels: { team: "a" } } });
    await ended("variables");
    expect(await run("logs", "variables")).toBe("variables a red $(NAME) 64 sesame sesame unset it\n");
    const missing = { name: "X", valueFrom: { configMapKeyRef: { name: "later", key: "x" } } };
    await apply(once("waiting", { command: ["sh", "-c", "echo $X"], env: [missing] }));
    await until("it names what is missing", async () =>
      (await get("waiting", ".status.containerStatuses[0].state.waiting")).includes(
        'configmap \\"later\\" not found',
      ),
    );
    expect(await get("waiting", ".status.containerStatuses[0].state.waiting.reason")).toBe(
      "CreateContainerConfigError",
    );
    await apply({ ...config, metadata: { name: "later" }, data: { x: "came" } });
    await ended("waiting");
    expect(await run("logs", "waiting")).toBe("came\n");
    await run("delete", "pod", "variables", "waiting");
  });

  test("init containers come one after the other, sidecars before the rest, and all end in the right order", async () => {
    const record = join(folder, "order");
    const say = (name: string, script = "") => ({
      ...{ name, image: "sh", command: ["sh", "-c", `echo ${name} >>${record}; ${script}`] },
    });
    const stay = (name: string) =>
      `trap 'echo ${name} ends >>${record}; exit 0' TERM; while :; do sleep 0.05; done`;
    const sidecar = {
      ...say("sidecar", stay("sidecar")),
      restartPolicy: "Always",
      startupProbe: { exec: { command: ["grep", "-q", "sidecar", record] }, periodSeconds: 1 },
    };
    const initContainers = [say("first"), sidecar, say("second")];
    await apply(podOf("ordered", { initContainers, containers: [say("main", stay("main"))] }));
    await run("wait", "--for=condition=Ready", "pod/ordered", "--timeout=20s");
    expect(await run("get", "pod", "ordered", "--no-headers")).toMatch(/^ordered\s+2\/2\s+Running/);
    await run("delete", "pod", "ordered");
    expect(readFileSync(record, "utf8").trim().split("\n")).toEqual([
      ...["first", "sidecar", "second", "main", "main ends", "sidecar ends"],
    ]);
    await apply(
      podOf("stuck", {
        initContainers: [say("bad", "exit 2")],
        containers: [say("never")],
        restartPolicy: "Never",
      }),
    );
    await run("wait", "--for=jsonpath={.status.phase}=Failed", "pod/stuck", "--timeout=20s");
    expect(await run("get", "pod", "stuck", "--no-headers")).toMatch(/^stuck\s+0\/1\s+Init:Error/);
    await run("delete", "pod", "stuck");
  });

  test("probes of each kind decide readiness, start and restart", async () => {
    const grpc = `const h2 = require('http2'); h2.createServer().on('stream', (s) => {
      s.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      s.on('wantTrailers', () => s.sendTrailers({ 'grpc-status': '0' }));
      s.end(Buffer.from([0, 0, 0, 0, 2, 8, 1])); }).listen(9001, process.env.HOST);`;
    const http = `require('http').createServer((q, s) => { s.statusCode = fs.existsSync(ok) ? 204 : 503; s.end(); }).listen(9000, process.env.HOST);`;
    const ok = join(folder, "ok");
    const script = `const fs = require('fs'), ok = ${JSON.stringify(ok)}; ${http} ${grpc}`;
    const container = {
      ...{ name: "main", image: "process://node", args: ["-e", script] },
      ports: [{ name: "web", containerPort: 9000 }],
      startupProbe: { tcpSocket: { port: "web" }, periodSeconds: 1, failureThreshold: 30 },
      readinessProbe: { httpGet: { path: "/", port: "web" }, periodSeconds: 1, failureThreshold: 1 },
      livenessProbe: { grpc: { port: 9001 }, periodSeconds: 1 },
    };
    await apply(podOf("probed", { containers: [container], terminationGracePeriodSeconds: 0 }));
    await run(
      "wait",
      "--for=jsonpath={.status.containerStatuses[0].started}=true",
      "pod/probed",
      "--timeout=20s",
    );
    await until("its readiness fails", async () =>
      (await events("probed")).some((text) =>
        text.startsWith("Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503"),
      ),
    );
    expect(await get("probed", ".status.conditions[?(@.type=='Ready')].reason")).toBe("ContainersNotReady");
    writeFileSync(ok, "");
    await run("wait", "--for=condition=Ready", "pod/probed", "--timeout=20s");
    rmSync(ok);
    await run("wait", "--for=condition=Ready=false", "pod/probed", "--timeout=20s");
    expect(await get("probed", ".status.containerStatuses[0].restartCount")).toBe("0");
    await run("delete", "pod", "probed");

    const dying = { exec: { command: ["sh", "-c", "exit 1"] }, periodSeconds: 1, failureThreshold: 1 };
    const sleeper = { name: "main", image: "process://sleep", args: ["1000"], livenessProbe: dying };
    await apply(podOf("dying", { containers: [sleeper], terminationGracePeriodSeconds: 1 }));
    await until(
      "it is restarted",
      async () => Number(await get("dying", ".status.containerStatuses[0].restartCount")) > 0,
    );
    expect(await events("dying")).toContain(
      "Killing: Container main failed liveness probe, will be restarted",
    );
    await run("delete", "pod", "dying");
  });

  test("hooks run after the start and before the end; the grace period covers them", async () => {
    const record = join(folder, "hooks");
    const echo = (word: string) => ({ exec: { command: ["sh", "-c", `echo ${word} >>${record}`] } });
    const container = {
      ...{ name: "main", image: "process://sleep", args: ["1000"] },
      lifecycle: { postStart: echo("started"), preStop: { exec: { command: ["sleep", "100"] } } },
    };
    await apply(podOf("hooked", { containers: [container], terminationGracePeriodSeconds: 2 }));
    await run("wait", "--for=condition=Ready", "pod/hooked", "--timeout=20s");
    await until("postStart ran", () => readOr(record) === "started\n");
    const began = performance.now();
    await run("delete", "pod", "hooked");
    expect(performance.now() - began).toBeGreaterThan(1500);
    expect(performance.now() - began).toBeLessThan(15_000);
    const failing = { ...container, lifecycle: { postStart: { exec: { command: ["false"] } } } };
    await apply(podOf("unhooked", { containers: [failing], terminationGracePeriodSeconds: 0 }));
    await until("the hook's failure is told", async () =>
      (await events("unhooked")).some((text) => text.startsWith("FailedPostStartHook")),
    );
    await run("delete", "pod", "unhooked", "--now");
  });

  test("an end says how it came: exit code, last words, memory, deadline", async () => {
    await apply(once("failed", { command: ["sh", "-c", "exit 7"] }));
    await apply(once("killed", { command: ["sh", "-c", "kill -9 $$$$"] }));
    const words = `require('fs').writeFileSync(JSON.parse(process.env.FAIRLEAD_MOUNTS)['/dev/termination-log'], 'disk on fire')`;
    await apply(once("worded", { image: "process://node", args: ["-e", `${words}; process.exit(1)`] }));
    await apply(
      once("logged", {
        ...{ command: ["sh", "-c", "echo out of cheese; exit 1"] },
        terminationMessagePolicy: "FallbackToLogsOnError",
      }),
    );
    await apply(once("absent", { command: ["/no/such/program"] }));
    const eats = "const all = []; setInterval(() => all.push(Buffer.alloc(10 << 20, 1)), 10)";
    const limits = { memory: "120Mi" };
    await apply(once("eater", { image: "process://node", args: ["-e", eats], resources: { limits } }));
    const late = once("late", { image: "process://sleep", args: ["1000"] });
    await apply({ ...late, spec: { ...late.spec, activeDeadlineSeconds: 1 } });
    for (const name of ["failed", "killed", "worded", "logged", "absent", "eater"]) await ended(name);
    expect(JSON.parse(await terminated("failed"))).toMatchObject({ exitCode: 7, reason: "Error" });
    expect(JSON.parse(await terminated("killed"))).toMatchObject({ exitCode: 137, reason: "Error" });
    expect(JSON.parse(await terminated("worded"))).toMatchObject({ message: "disk on fire" });
    expect(JSON.parse(await terminated("logged"))).toMatchObject({ message: "out of cheese" });
    expect(JSON.parse(await terminated("absent"))).toMatchObject({ exitCode: 127, reason: "StartError" });
    expect(JSON.parse(await terminated("eater"))).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
    expect(await run("get", "pod", "eater", "--no-headers")).toMatch(/OOMKilled/);
    await run("wait", "--for=jsonpath={.status.reason}=DeadlineExceeded", "pod/late", "--timeout=20s");
    expect(await get("late", ".status.phase")).toBe("Failed");
    await run("delete", "pod", "failed", "killed", "worded", "logged", "absent", "eater", "late");
  });

  test("logs follow, end, and tell of the attempt before", async () => {
    const script = "echo attempt; sleep 1; echo done; exit 1";
    await apply(
      podOf("noisy", {
        containers: [{ name: "main", image: "sh", command: ["sh", "-c", script] }],
        restartPolicy: "OnFailure",
        terminationGracePeriodSeconds: 0,
      }),
    );
    await until("it writes", async () => (await kubectl("logs", "noisy")).out === "attempt\n");
    expect(await run("logs", "noisy", "--follow")).toBe("attempt\ndone\n");
    await until(
      "it was restarted",
      async () => (await kubectl("logs", "noisy", "--previous")).out === "attempt\ndone\n",
    );
    expect(await run("logs", "noisy", "--previous", "--tail=1")).toBe("done\n");
    expect(await run("logs", "noisy", "--previous", "--timestamps")).toMatch(
      /^\d{4}-\d\d-\d\dT\S+Z attempt\n/,
    );
    await run("delete", "pod", "noisy");
  });
});

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
