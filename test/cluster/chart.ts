/** The Helm chart as Helm renders it, and its service accounts with their rights in a cluster. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { UnreadObject } from "../../api/resource.ts";
import { buildHelm } from "./build.ts";

export const chartFolder = join(import.meta.dirname, "..", "..", "charts", "fairlead");
export const chartNamespace = "istio-system";

/** `namespace/name` of the chart's service accounts, without the room behind it. */
export const chartAccount = `${chartNamespace}/fairlead`;

/**
 * The chart's objects.
 *
 * @param values as `helm --set` takes them
 * @throws Error in Helm's words
 */
export async function renderChart(values: readonly string[] = []): Promise<readonly UnreadObject[]> {
  const words = ["template", "fairlead", chartFolder, "--namespace", chartNamespace];
  const text = await run(await buildHelm(), [...words, ...values.flatMap((value) => ["--set", value])]);
  return parseAllDocuments(text)
    .map((document) => document.toJS() as UnreadObject | null)
    .filter((object) => object !== null);
}

const accountKinds = [
  "ServiceAccount",
  "ClusterRole",
  "ClusterRoleBinding",
  "Role",
  "RoleBinding",
  "Secret",
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
];

/** Where objects are put. */
export interface Target {
  readonly kubectl: string;
  readonly kubeconfig: string;
}

/** Puts the chart's service accounts, their roles, and what they may write but not make, into a cluster. */
export async function installAccounts(target: Target): Promise<void> {
  const objects = (await renderChart()).filter(({ kind }) => accountKinds.includes(kind ?? ""));
  const home = { apiVersion: "v1", kind: "Namespace", metadata: { name: chartNamespace } };
  await applyObjects(target, [home, ...objects]);
}

/** `kubectl apply --server-side`; `more` are its further words. */
export function applyObjects(
  { kubectl, kubeconfig }: Target,
  objects: readonly object[],
  ...more: readonly string[]
): Promise<string> {
  const list = { apiVersion: "v1", kind: "List", items: objects };
  const words = ["--kubeconfig", kubeconfig, "apply", "--server-side", "-f", "-", ...more];
  return run(kubectl, words, JSON.stringify(list));
}

function run(command: string, words: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, words, { maxBuffer: 2 ** 26, timeout: 120_000 }, (error, out, err) => {
      if (error === null) resolve(out);
      else reject(new Error(`${words.slice(0, 2).join(" ")}: ${err.trim()}`, { cause: error }));
    });
    child.stdin?.end(input);
  });
}
