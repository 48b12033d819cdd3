import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DeploymentKind, PodKind } from "../api/core.ts";
import { createClient } from "../kube/client.ts";
import { loadConnection } from "../kube/kubeconfig.ts";
import { DataDirError, openDataDir } from "./data-dir.ts";
import { stopLeftPods } from "./stop-left-pods.ts";
import { deployment, pod, webServer } from "./testing/manifests.ts";
import { processesNaming } from "./testing/processes.ts";
import { until } from "./testing/until.ts";

async function startRunner(folder: string) {
  const script = join(import.meta.dirname, "testing", "run-kubernetes.ts");
  const child = spawn(process.execPath, [script, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const died = ended.then(() => Promise.reject(new Error("the runner ended before it served")));
  died.catch(() => undefined);
  const [line] = await Promise.race([once(child.stdout, "data"), died]);
  const client = createClient(await loadConnection({ kubeconfig: String(line).trim() }));
  let running = true;
  return {
    client,
    pid: child.pid,
    async end(signal: "SIGKILL" | "SIGTERM") {
      if (!running) return;
      running = false;
      await client.close();
      child.kill(signal);
      await ended;
    },
  };
}

test("pods outlive a killed control plane; the next one adopts them, learns how others ended, and stops all", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-adoption-"));
  let runner = await startRunner(folder);
  onTestFinished(() => runner.end("SIGTERM"));
  expect(() => openDataDir(folder)).toThrow(DataDirError);
  expect(() => openDataDir(folder)).toThrow(`process ${runner.pid}`);
  await runner.client.create(DeploymentKind, deployment("web", webServer("v1")));
  const once = (script: string) => ({
    restartPolicy: "Never",
    containers: [{ name: "main", image: "sh", command: ["sh", "-c", script] }],
  });
  await runner.client.create(
    PodKind,
    pod("ends", once("while [ ! -e go ]; do sleep 0.05; done; exit 7".replace("go", join(folder, "go")))),
  );
  const listWeb = async () => (await runner.client.list(PodKind, { labelSelector: "app=web" })).items;
  const before = await until("all run", async () => {
    const pods = await listWeb();
    const ready = pods.filter(({ status }) => status?.containerStatuses?.[0]?.ready);
    const other = await runner.client.get(PodKind, "default", "ends");
    return ready.length === 2 && other?.status?.phase === "Running" && pods;
  });
  const listServers = () => {
    const ofThisTest = processesNaming(join(folder, "pods"));
    return processesNaming("createServer(").filter((pid) => ofThisTest.includes(pid));
  };
  const servers = listServers();
  expect(servers.length).toBeGreaterThanOrEqual(2);

  await runner.end("SIGKILL");
  for (const { status } of before)
    expect(await (await fetch(`http://${status?.podIP}:8080`)).text()).toBe("v1");
  // Ends while nobody looks.
  spawn("touch", [join(folder, "go")]);
  await until("it ended", () => processesNaming(join(folder, "go")).length === 0);

  runner = await startRunner(folder);
  const ended = await until("the end is known", async () => {
    const object = await runner.client.get(PodKind, "default", "ends");
    return object?.status?.phase === "Failed" && object;
  });
  expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(7);
  const after = await listWeb();
  expect(new Set(after.map(({ metadata }) => metadata.uid))).toEqual(
    new Set(before.map(({ metadata }) => metadata.uid)),
  );
  expect(after.map(({ status }) => status?.containerStatuses?.[0]?.restartCount)).toEqual([0, 0]);
  expect(listServers()).toEqual(servers);

  await runner.end("SIGTERM");
  expect(processesNaming(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});

test("pods that a killed control plane left are stopped as their manifests say, also without it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-left-"));
  const runner = await startRunner(folder);
  onTestFinished(() => runner.end("SIGTERM"));
  const record = join(folder, "record");
  const script = `trap 'echo TERM >>${record}; exit 0' TERM; echo up >>${record}; while :; do sleep 0.05; done`;
  const preStop = { exec: { command: ["sh", "-c", `echo preStop >>${record}`] } };
  const container = { name: "main", image: "sh", command: ["sh", "-c", script], lifecycle: { preStop } };
  await runner.client.create(PodKind, pod("polite", { containers: [container] }));
  await until("it runs", () => existsSync(record));
  await runner.end("SIGKILL");

  expect(await stopLeftPods(folder)).toBe(1);
  expect(readFileSync(record, "utf8").split("\n").filter(Boolean)).toEqual(["up", "preStop", "TERM"]);
  expect(processesNaming(folder)).toEqual([]);
  expect(await stopLeftPods(folder)).toBe(0);
  rmSync(folder, { recursive: true });
});
