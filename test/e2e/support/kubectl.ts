/** The real kubectl, against a control plane of the test's own. */
import { execFile, spawnSync } from "node:child_process";
import { stringify } from "yaml";

/** Why the tests that need kubectl are skipped; undefined where there is one on PATH. */
export const kubectlMissing =
  spawnSync("kubectl", ["version", "--client"]).status === 0 ? undefined : "kubectl is not on PATH";

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Kubectl {
  /** Runs it with these words, for at most a minute. */
  (...words: string[]): Promise<Said>;
  /** `kubectl apply -f -` of these objects. */
  apply(...objects: readonly object[]): Promise<Said>;
}

/** kubectl as a user of `kubeconfig` runs it; `home` keeps its caches out of the way of others. */
export function createKubectl(kubeconfig: string, home: string): Kubectl {
  const run = (words: readonly string[], input = "") =>
    new Promise<Said>((resolve) => {
      const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: home };
      const child = execFile("kubectl", words, { env, timeout: 60_000 }, (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, out, err });
      });
      child.stdin?.end(input);
    });
  return Object.assign((...words: string[]) => run(words), {
    apply: (...objects: readonly object[]) =>
      run(["apply", "-f", "-"], objects.map((object) => stringify(object)).join("---\n")),
  });
}
