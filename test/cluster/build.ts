/**
 * Builds the parts of a real Kubernetes as Go modules, once: etcd, and one program that is kube-apiserver,
 * kube-controller-manager and kubectl by the name it is started under. 5 minutes on two idle cores, 250 MB kept.
 *
 * `node test/cluster/build.ts` builds what is missing, Helm too, and prints the folder.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

const modules = join(import.meta.dirname, "modules");

/** The version of Kubernetes that the module pins, e.g. `1.36.3`. */
export const kubernetesVersion =
  /k8s\.io\/kubernetes v(\S+)/.exec(readFileSync(join(modules, "kubernetes", "go.mod"), "utf8"))?.[1] ?? "";

/** Where the parts are kept between runs. */
export const partsFolder = join(homedir(), ".cache", "fairlead", `cluster-${kubernetesVersion}`);

const names = ["kube-apiserver", "kube-controller-manager", "kubectl"] as const;

/** Paths of the programs. */
export interface ClusterParts {
  readonly etcd: string;
  readonly apiServer: string;
  readonly controllerManager: string;
  readonly kubectl: string;
}

/** True where the parts are built, or Go is there to build them. */
export async function canBuild(): Promise<boolean> {
  if (existsSync(join(partsFolder, "kubernetes")) && existsSync(join(partsFolder, "etcd"))) return true;
  return run("go", ["version"], modules).then(
    () => true,
    () => false,
  );
}

/**
 * Builds what is missing.
 *
 * @throws where Go is missing or the module proxy cannot be reached
 */
export async function buildParts(say: (line: string) => void = () => undefined): Promise<ClusterParts> {
  await mkdir(partsFolder, { recursive: true });
  await build("etcd", "go.etcd.io/etcd/server/v3", "-s -w", say);
  const version = "k8s.io/component-base/version";
  const [major = "", minor = ""] = kubernetesVersion.split(".");
  const flags = [
    `-s -w -X ${version}.gitVersion=v${kubernetesVersion}`,
    `-X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor} -X ${version}.gitTreeState=clean`,
  ];
  await build("kubernetes", ".", flags.join(" "), say);
  for (const name of names) {
    if (!existsSync(join(partsFolder, name))) await symlink("kubernetes", join(partsFolder, name));
  }
  return {
    etcd: join(partsFolder, "etcd"),
    apiServer: join(partsFolder, "kube-apiserver"),
    controllerManager: join(partsFolder, "kube-controller-manager"),
    kubectl: join(partsFolder, "kubectl"),
  };
}

/** kwok, which calls nodes and pods ready without running anything. Its own minute of building. */
export async function buildKwok(say: (line: string) => void = () => undefined): Promise<string> {
  await mkdir(partsFolder, { recursive: true });
  await build("kwok", "sigs.k8s.io/kwok/cmd/kwok", "-s -w", say);
  return join(partsFolder, "kwok");
}

/** Helm, told of this Kubernetes' version: what its charts are rendered for. Its own minute of building. */
export async function buildHelm(say: (line: string) => void = () => undefined): Promise<string> {
  await mkdir(partsFolder, { recursive: true });
  const [major = "", minor = ""] = kubernetesVersion.split(".");
  const version = "helm.sh/helm/v3/pkg/chartutil.k8sVersion";
  await build(
    "helm",
    "helm.sh/helm/v3/cmd/helm",
    `-s -w -X ${version}Major=${major} -X ${version}Minor=${minor}`,
    say,
  );
  return join(partsFolder, "helm");
}

async function build(
  module: string,
  target: string,
  flags: string,
  say: (line: string) => void,
): Promise<void> {
  const path = join(partsFolder, module);
  if (existsSync(path)) return;
  say(`building ${module} (Go module, once)`);
  // Under another name until it is whole, so that a build that was broken off is no part.
  await run(
    "go",
    ["build", "-trimpath", "-ldflags", flags, "-o", `${path}.new`, target],
    join(modules, module),
  );
  await rename(`${path}.new`, path);
}

function run(command: string, words: readonly string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(command, words, { cwd, maxBuffer: 2 ** 26 }, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else
        reject(
          new Error(`${command} ${words[0] ?? ""} failed: ${stderr.trim().split("\n").at(-1) ?? ""}`, {
            cause: error,
          }),
        );
    });
  });
}

if (import.meta.main) {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  await buildParts(say);
  await buildHelm(say);
  if (process.argv.includes("--kwok")) await buildKwok(say);
  process.stdout.write(`${partsFolder}\n`);
}
