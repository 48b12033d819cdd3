/** Volumes of pods that are processes: their files, their changes, and in network namespaces their paths. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalKubernetes } from "../../local/index.ts";
import { namespacesProblem } from "../../local/node/network/available.ts";
import { processesNaming } from "../../local/testing/processes.ts";
import { until } from "../../local/testing/until.ts";
import { createKubectl, type Kubectl, kubectlMissing } from "./support/kubectl.ts";
import { onReal, startMachine } from "./support/machine.ts";
import { personWith, podOf } from "./support/pods.ts";

const missing = kubectlMissing ?? (onReal ? "proven on the embedded API" : await namespacesProblem());

describe.skipIf(kubectlMissing !== undefined)("volumes of pods", () => {
  let folder: string;
  let kubernetes: LocalKubernetes;
  let kubectl: Kubectl;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-volumes-"));
    kubernetes = await startMachine(folder, {});
    kubectl = createKubectl(kubernetes.kubeconfig, folder);
  });
  afterAll(async () => {
    await kubernetes?.stopAll();
    expect(processesNaming(folder)).toEqual([]);
    rmSync(folder, { recursive: true, force: true });
  });

  test("have their files, and a ConfigMap's change reaches them", async () => {
    const { run, apply, events } = personWith(kubectl);
    const config = (text: string) => ({
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "files" } },
      data: { "app.conf": text, other: "x" },
    });
    const host = join(folder, "host");
    mkdirSync(host);
    writeFileSync(join(host, "here"), "host file");
    const volumes = [
      {
        name: "config",
        configMap: { name: "files", items: [{ key: "app.conf", path: "conf.d/app", mode: 0o400 }] },
      },
      { name: "shared", emptyDir: {} },
      { name: "host", hostPath: { path: host, type: "Directory" } },
      {
        name: "all",
        projected: {
          sources: [
            { configMap: { name: "files", items: [{ key: "other", path: "other" }] } },
            { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
            { serviceAccountToken: { path: "token", audience: "vault" } },
          ],
        },
      },
    ];
    const mounts = [
      ...["config", "shared", "host", "all"].map((name) => ({ name, mountPath: `/v/${name}` })),
      { name: "shared", mountPath: "/v/mine", subPathExpr: "of-$(POD)" },
    ];
    const env = [{ name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }];
    const container = (name: string, script: string) => ({
      ...{ name, image: "process://node", args: ["-e", script], env, volumeMounts: mounts },
    });
    const at = "const m = JSON.parse(process.env.FAIRLEAD_MOUNTS), fs = require('fs');";
    const writer = container("writer", `${at} fs.writeFileSync(m['/v/mine'] + '/note', 'from init')`);
    const read = (path: string, file: string) => `fs.readFileSync(m['${path}'] + '${file}', 'utf8')`;
    const reader = container(
      "reader",
      `${at} let last; setInterval(() => {
         const now = ${read("/v/config", "/conf.d/app")};
         if (now !== last) console.log(last = now);
       }, 20);
       console.log(${read("/v/shared", "/of-files/note")}, ${read("/v/host", "/here")}, ${read("/v/all", "/other")},
         ${read("/v/all", "/name")}, JSON.parse(atob(${read("/v/all", "/token")}.split('.')[1])).aud[0],
         (fs.statSync(m['/v/config'] + '/conf.d/app').mode & 0o777).toString(8));`,
    );
    const spec = {
      initContainers: [writer],
      containers: [reader],
      volumes,
      terminationGracePeriodSeconds: 0,
    };
    await apply(config("first"), podOf("files", spec));
    await run("wait", "--for=condition=Ready", "pod/files", "--timeout=20s");
    const log = () => run("logs", "files", "-c", "reader");
    await until("the files are read", async () => (await log()).split("\n").length > 2);
    expect(await log()).toBe("from init host file x files vault 400\nfirst\n");
    await apply(config("second"));
    await until("the change is seen", async () => (await log()).endsWith("second\n"));
    await apply(
      podOf("unmounted", {
        ...spec,
        volumes: [{ name: "x", hostPath: { path: `${host}/no`, type: "File" } }],
        initContainers: [],
        containers: [{ name: "main", image: "process://true" }],
      }),
    );
    await until("the volume's fault is told", async () =>
      (await events("unmounted")).some((text) => /^FailedMount: .*is not a file/.test(text)),
    );
    await run("delete", "pod", "files", "unmounted");
  });
});

describe.skipIf(missing !== undefined)(`pods in namespaces${missing ? ` (${missing})` : ""}`, () => {
  let folder: string;
  let kubernetes: LocalKubernetes;
  let kubectl: Kubectl;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-mounts-"));
    kubernetes = await startMachine(folder, { network: "netns" });
    kubectl = createKubectl(kubernetes.kubeconfig, folder);
  });
  afterAll(async () => {
    await kubernetes?.stopAll();
    expect(processesNaming(folder)).toEqual([]);
    rmSync(folder, { recursive: true, force: true });
  });

  test("find their volumes at their paths, and leave nothing of them on the machine", async () => {
    const data = { "app.conf": "first" };
    const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "conf" }, data };
    const token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    const script = `cat /etc/fairlead-test/app.conf /fairlead-test/one; echo; head -c 3 ${token}; echo
      echo kept >/fairlead-test/sub/note; cat /fairlead-test/sub/note /etc/hostname >/dev/null && echo read
      touch /etc/fairlead-test/x || echo refused
      while ! grep -q second /etc/fairlead-test/app.conf; do sleep 0.1; done; echo changed`;
    const volumeMounts = [
      { name: "conf", mountPath: "/etc/fairlead-test", readOnly: true },
      { name: "conf", mountPath: "/fairlead-test/one", subPath: "app.conf" },
      { name: "empty", mountPath: "/fairlead-test/sub" },
    ];
    const main = { name: "main", image: "sh", command: ["sh", "-c", script], volumeMounts };
    const ready = {
      exec: { command: ["test", "-f", "/fairlead-test/sub/note"] },
      periodSeconds: 1,
      timeoutSeconds: 5,
    };
    const volumes = [
      { name: "conf", configMap: { name: "conf" } },
      { name: "empty", emptyDir: {} },
    ];
    const spec = { restartPolicy: "Never", containers: [{ ...main, readinessProbe: ready }], volumes };
    expect((await kubectl.apply(config, podOf("mounted", spec))).err).toBe("");
    const log = async () => (await kubectl("logs", "mounted")).out;
    await until("it has read its files", async () => (await log()).includes("refused"));
    expect(await log()).toMatch(/^firstfirst\neyJ\nread\n[\s\S]*refused\n$/);
    expect((await kubectl("wait", "--for=condition=Ready", "pod/mounted", "--timeout=20s")).code).toBe(0);
    await kubectl.apply({ ...config, data: { "app.conf": "second" } });
    await until("it sees the change", async () => (await log()).endsWith("changed\n"));
    expect([existsSync("/etc/fairlead-test"), existsSync("/fairlead-test")]).toEqual([false, false]);
  });
});
