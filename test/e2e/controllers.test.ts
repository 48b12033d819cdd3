/** The workloads of Kubernetes on the embedded API, with real processes, as a person with kubectl sees them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalKubernetes } from "../../local/index.ts";
import { processesNaming } from "../../local/testing/processes.ts";
import { until } from "../../local/testing/until.ts";
import { createKubectl, type Kubectl, kubectlMissing } from "./support/kubectl.ts";
import { onReal, startMachine } from "./support/machine.ts";

describe.skipIf(kubectlMissing !== undefined)("workloads", () => {
  let folder: string;
  let kubernetes: LocalKubernetes;
  let kubectl: Kubectl;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-workloads-"));
    kubernetes = await startMachine(folder, { autoscalerSyncPeriod: 1000 });
    kubectl = createKubectl(kubernetes.kubeconfig, folder);
  });
  afterAll(async () => {
    await kubernetes?.stopAll();
    expect(processesNaming(folder)).toEqual([]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** Standard output of a command that succeeds. */
  async function run(...words: string[]): Promise<string> {
    const { code, out, err } = await kubectl(...words);
    expect(code, err).toBe(0);
    return out;
  }
  const apply = async (...objects: object[]) => {
    const { code, err } = await kubectl.apply(...objects);
    expect(code, err).toBe(0);
  };
  const reasons = async (object: string) =>
    (await run("events", "--for", object, "-o", "jsonpath={.items[*].reason}")).split(" ");
  const podNames = async (app: string) =>
    (await run("get", "pods", "-l", `app=${app}`, "-o", "jsonpath={.items[*].metadata.name}")).split(" ");

  test("a Deployment is undone, restarted, paused and scaled; its history tells each revision", async () => {
    await apply(workload("Deployment", "web", "echo v1"));
    await run("rollout", "status", "deploy/web", "--timeout=30s");
    await run("set", "env", "deploy/web", "VERSION=2");
    await run("rollout", "status", "deploy/web", "--timeout=30s");
    expect(await run("rollout", "history", "deploy/web")).toMatch(/REVISION.*\n1 .*\n2 /);
    expect(await run("rollout", "undo", "deploy/web")).toBe("deployment.apps/web rolled back\n");
    await run("rollout", "status", "deploy/web", "--timeout=30s");
    expect(await run("rollout", "history", "deploy/web")).toMatch(/REVISION.*\n2 .*\n3 /);
    expect(await run("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].env}")).toBe(
      "",
    );

    await run("rollout", "pause", "deploy/web");
    await run(
      "wait",
      "--for=jsonpath={.status.conditions[?(@.type=='Progressing')].reason}=DeploymentPaused",
      "deploy/web",
      "--timeout=10s",
    );
    const before = await podNames("web");
    await run("rollout", "resume", "deploy/web");
    await run("rollout", "restart", "deploy/web");
    await run("rollout", "status", "deploy/web", "--timeout=30s");
    expect((await podNames("web")).filter((name) => before.includes(name))).toEqual([]);
    await run("scale", "deploy/web", "--replicas=3");
    await run("wait", "--for=jsonpath={.status.availableReplicas}=3", "deploy/web", "--timeout=20s");
    expect(await reasons("deployment/web")).toContain("ScalingReplicaSet");
  });

  test("a rollout that makes no progress is told after its deadline", async () => {
    const broken = workload("Deployment", "broken", "echo v1");
    const [container] = broken.spec.template.spec.containers;
    Object.assign(container ?? {}, { readinessProbe: { exec: { command: ["false"] } } });
    await apply({ ...broken, spec: { ...broken.spec, progressDeadlineSeconds: 2 } });
    const { code, err } = await kubectl("rollout", "status", "deploy/broken", "--timeout=20s");
    expect(code).toBe(1);
    expect(err).toContain('deployment "broken" exceeded its progress deadline');
    await run("delete", "deploy", "broken");
  });

  test("deletion leaves, waits for or takes along what an object made", async () => {
    await run("delete", "deploy", "web", "--cascade=orphan");
    const orphans = await podNames("web");
    expect(orphans).toHaveLength(3);
    // The same Deployment again finds its ReplicaSet and its pods.
    await run("label", "pod", orphans[0] ?? "", "app=other", "--overwrite");
    await until("another pod takes its place", async () => {
      const names = await podNames("web");
      return names.length === 3 && !names.includes(orphans[0] ?? "");
    });
    expect(await run("get", "pod", orphans[0] ?? "", "-o", "jsonpath={.metadata.ownerReferences}")).toBe("");
    const [set = ""] = (await run("get", "rs", "-l", "app=web", "-o", "name")).split("\n").filter(Boolean);
    for (const name of (await run("get", "rs", "-l", "app=web", "-o", "name")).split("\n").filter(Boolean)) {
      await run("delete", name, "--cascade=foreground", "--timeout=30s");
    }
    expect(set).toMatch(/^replicaset.apps\/web-/);
    expect(await podNames("web")).toEqual([""]);
    await run("delete", "pod", orphans[0] ?? "");
  });

  test("a StatefulSet starts in order, keeps names and claims, rolls from the last, and is undone", async () => {
    const set = workload("StatefulSet", "db", "echo v1");
    const claim = {
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    };
    await apply({ ...set, spec: { ...set.spec, serviceName: "db", volumeClaimTemplates: [claim] } });
    await run("rollout", "status", "sts/db", "--timeout=30s");
    expect(await podNames("db")).toEqual(["db-0", "db-1"]);
    expect(await run("get", "pvc", "-o", "jsonpath={.items[*].metadata.name}")).toBe("data-db-0 data-db-1");
    const created = async () =>
      (await run("get", "pods", "-l", "app=db", "-o", "jsonpath={.items[*].status.startTime}")).split(" ");
    const [first = "", second = ""] = await created();
    expect(Date.parse(second)).toBeGreaterThanOrEqual(Date.parse(first));
    expect(await run("get", "pod", "db-1", "-o", "jsonpath={.spec.hostname}.{.spec.subdomain}")).toBe(
      "db-1.db",
    );

    await run("patch", "sts", "db", "-p", '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}}}}');
    await run("set", "env", "sts/db", "VERSION=2");
    const versions = () =>
      run("get", "pods", "-l", "app=db", "-o", "jsonpath={.items[*].spec.containers[0].env[0].value}");
    await until("only the last is updated", async () => (await versions()) === "2");
    await run("wait", "--for=condition=Ready", "pod/db-1", "--timeout=20s");
    expect(await run("get", "pod", "db-0", "-o", "jsonpath={.spec.containers[0].env}")).toBe("");
    await run("patch", "sts", "db", "-p", '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}');
    await until("both are", async () => (await versions()) === "2 2");
    await run("rollout", "status", "sts/db", "--timeout=30s");
    expect(await run("rollout", "history", "sts/db")).toMatch(/REVISION.*\n1 .*\n2 /);
    await run("rollout", "undo", "sts/db");
    await run("rollout", "status", "sts/db", "--timeout=30s");
    await until("the first template again", async () => (await versions()) === "");

    await run("scale", "sts/db", "--replicas=1");
    await run("wait", "--for=delete", "pod/db-1", "--timeout=20s");
    expect(await run("get", "pvc", "-o", "jsonpath={.items[*].metadata.name}")).toBe("data-db-0 data-db-1");
    expect(await reasons("statefulset/db")).toEqual(
      expect.arrayContaining(["SuccessfulCreate", "SuccessfulDelete"]),
    );
    await run("delete", "sts", "db");
  });

  test("a DaemonSet has a pod on the node, rolls, and keeps to its nodeSelector", async () => {
    const { spec, ...rest } = workload("DaemonSet", "agent", "echo v1");
    const { replicas: _, ...daemon } = spec;
    await apply({ ...rest, spec: daemon });
    await run("rollout", "status", "ds/agent", "--timeout=30s");
    expect(await run("get", "ds", "agent", "--no-headers")).toMatch(/^agent\s+1\s+1\s+1\s+1\s+1\s+<none>/);
    await run("set", "env", "ds/agent", "VERSION=2");
    await run("rollout", "status", "ds/agent", "--timeout=30s");
    expect(await run("rollout", "history", "ds/agent")).toMatch(/REVISION.*\n1 .*\n2 /);
    await run("rollout", "undo", "ds/agent");
    await run("rollout", "status", "ds/agent", "--timeout=30s");
    await run(
      "patch",
      "ds",
      "agent",
      "-p",
      '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"fast"}}}}}',
    );
    await until("no pod is left", async () => (await podNames("agent")).join("") === "");
    await run("label", "node", "fairlead", "disk=fast");
    await run("rollout", "status", "ds/agent", "--timeout=30s");
    await run("delete", "ds", "agent");
  });

  test("a Job runs to its completions, tells its end and lets its pods go; one that keeps failing gives up", async () => {
    await apply(
      job("sum", "echo $JOB_COMPLETION_INDEX", { completions: 3, parallelism: 2, completionMode: "Indexed" }),
    );
    await run("wait", "--for=condition=Complete", "job/sum", "--timeout=30s");
    const status = async (name: string) =>
      JSON.parse(await run("get", "job", name, "-o", "jsonpath={.status}"));
    expect(await status("sum")).toMatchObject({ succeeded: 3, completedIndexes: "0-2" });
    const logs = await run("logs", "-l", "job-name=sum", "--tail=-1");
    expect(logs.trim().split("\n").sort()).toEqual(["0", "1", "2"]);
    expect(await reasons("job/sum")).toEqual(expect.arrayContaining(["SuccessfulCreate", "Completed"]));
    await until("no pod waits to be counted", async () => {
      const pods = await run(
        "get",
        "pods",
        "-l",
        "job-name=sum",
        "-o",
        "jsonpath={.items[*].metadata.finalizers}",
      );
      return pods === "";
    });
    expect((await status("sum")).uncountedTerminatedPods ?? {}).not.toHaveProperty("succeeded.0");
    await run("delete", "job", "sum");
    await until(
      "its pods are gone",
      async () => (await run("get", "pods", "-l", "job-name=sum", "-o", "name")) === "",
    );

    await apply(job("bad", "exit 3", { backoffLimit: 0 }));
    await run("wait", "--for=condition=Failed", "job/bad", "--timeout=30s");
    expect((await status("bad")).conditions.at(-1)).toMatchObject({
      type: "Failed",
      reason: "BackoffLimitExceeded",
    });
    await apply(job("slow", "sleep 100", { activeDeadlineSeconds: 1 }));
    await run("wait", "--for=condition=Failed", "job/slow", "--timeout=30s");
    expect((await status("slow")).conditions.at(-1)).toMatchObject({ reason: "DeadlineExceeded" });
    await apply(job("short", "true", { ttlSecondsAfterFinished: 0 }));
    await run("wait", "--for=delete", "job/short", "--timeout=30s");
    await run("delete", "job", "bad", "slow");
  });

  // Kubernetes' own asks a metrics server, which no cluster of ours has.
  test.skipIf(onReal)(
    "an autoscaler follows what the pods' processes use, up to its limits and down again",
    async () => {
      const busy = workload("Deployment", "busy", "while :; do :; done");
      const [container] = busy.spec.template.spec.containers;
      Object.assign(container ?? {}, { resources: { requests: { cpu: "50m" } } });
      Object.assign(busy.spec, { replicas: 1 });
      const target = { type: "Utilization", averageUtilization: 50 };
      await apply(busy, {
        apiVersion: "autoscaling/v2",
        kind: "HorizontalPodAutoscaler",
        metadata: { name: "busy" },
        spec: {
          scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "busy" },
          maxReplicas: 3,
          metrics: [{ type: "Resource", resource: { name: "cpu", target } }],
          behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
        },
      });
      await run("wait", "--for=jsonpath={.spec.replicas}=3", "deploy/busy", "--timeout=40s");
      expect(await reasons("hpa/busy")).toContain("SuccessfulRescale");
      await until("the autoscaler shows what it sees", async () =>
        /Deployment\/busy\s+cpu: \d+%\/50%\s+1\s+3\s+3/.test(await run("get", "hpa", "busy", "--no-headers")),
      );
      expect(await run("get", "hpa", "busy", "-o", "jsonpath={.status.conditions}")).toContain(
        "TooManyReplicas",
      );
      await run("patch", "deploy", "busy", "--type=json", "-p", idle);
      await run("wait", "--for=jsonpath={.spec.replicas}=1", "deploy/busy", "--timeout=40s");
      await run("delete", "deploy/busy", "hpa/busy");
    },
  );

  test("a namespace goes with everything in it, its processes too", async () => {
    const inside = <T extends { metadata: object }>(object: T) => ({
      ...object,
      metadata: { ...object.metadata, namespace: "short" },
    });
    const claim = {
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
    };
    const set = workload("StatefulSet", "db", "echo v1");
    await run("create", "namespace", "short");
    await apply(
      inside(workload("Deployment", "web", "echo v1")),
      inside({ ...set, ...{ spec: { ...set.spec, volumeClaimTemplates: [claim] } } }),
      inside(job("long", "sleep 1000", {})),
      inside({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "kept", finalizers: ["test/kept"] } }),
    );
    await run("wait", "-n", "short", "--for=condition=Ready", "pod", "--all", "--timeout=30s");
    await run("delete", "namespace", "short", "--wait=false");
    await until(
      "all but what is held are gone",
      async () => (await run("get", "pods,pvc,deploy,job", "-n", "short", "-o", "name")) === "",
    );
    expect(await run("get", "namespace", "short", "-o", "jsonpath={.status.phase}")).toBe("Terminating");
    const refused = await kubectl("create", "configmap", "late", "-n", "short");
    expect(refused.err).toContain("because it is being terminated");
    await run(
      "patch",
      "configmap",
      "kept",
      "-n",
      "short",
      "--type=merge",
      "-p",
      '{"metadata":{"finalizers":null}}',
    );
    await run("wait", "--for=delete", "namespace/short", "--timeout=30s");
  });

  test("a disruption budget counts the pods that may go", async () => {
    await apply(workload("Deployment", "kept", "echo v1"), {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "kept" },
      spec: { maxUnavailable: 1, selector: { matchLabels: { app: "kept" } } },
    });
    await run("wait", "--for=jsonpath={.status.disruptionsAllowed}=1", "pdb/kept", "--timeout=20s");
    expect(await run("get", "pdb", "kept", "--no-headers")).toMatch(/^kept\s+N\/A\s+1\s+1/);
    await run(
      "patch",
      "pdb",
      "kept",
      "--type=merge",
      "-p",
      '{"spec":{"maxUnavailable":null,"minAvailable":"100%"}}',
    );
    await run(
      "wait",
      "--for=jsonpath={.status.conditions[0].reason}=InsufficientPods",
      "pdb/kept",
      "--timeout=20s",
    );
    await run("delete", "deploy/kept", "pdb/kept");
  });
});

/** Makes the busy workload idle. */
const idle = JSON.stringify([
  { op: "replace", path: "/spec/template/spec/containers/0/command", value: ["sleep", "1000"] },
]);

function job(name: string, script: string, spec: object) {
  const container = { name: "main", image: "sh", command: ["sh", "-c", script] };
  const pod = { restartPolicy: "Never", terminationGracePeriodSeconds: 0, containers: [container] };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: { ...spec, template: { spec: pod } },
  };
}

/** A workload of two sleeping processes that first run `script`. */
function workload(kind: string, name: string, script: string) {
  const container = { name: "main", image: "sh", command: ["sh", "-c", `${script}; exec sleep 1000`] };
  const template = {
    metadata: { labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 0, containers: [container] },
  };
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { name },
    spec: { replicas: 2, selector: { matchLabels: { app: name } }, template },
  };
}
