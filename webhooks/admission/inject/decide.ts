import type { Pod } from "../../../api/core.ts";
import type { InjectionConfig } from "./config.ts";

/** Istio's own, where no workload of a mesh runs. */
const systemNamespaces = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

const injectLabel = "sidecar.istio.io/inject";
const revisionLabel = "istio.io/rev";

type Labels = Readonly<Record<string, string>>;

/**
 * Whether a pod gets a sidecar, by Istio's rules.
 *
 * A `disabled` or `false` anywhere wins; then `istio-injection: enabled` or our revision on the namespace; then, in a
 * namespace that says nothing, the pod's label `sidecar.istio.io/inject: "true"` or our revision.
 *
 * @param namespaceLabels undefined where they are not known: the API server has matched the webhook's selectors
 */
export function wantsSidecar(
  { metadata, spec }: Pick<Pod, "metadata" | "spec">,
  namespace: string,
  namespaceLabels: Labels | undefined,
  { revision, ignoredNamespaces }: Pick<InjectionConfig, "revision" | "ignoredNamespaces">,
): boolean {
  if (spec?.hostNetwork) return false;
  if ([...systemNamespaces, ...ignoredNamespaces].includes(namespace)) return false;
  const wish = readWish(metadata.labels?.[injectLabel] ?? metadata.annotations?.[injectLabel]);
  if (wish === false) return false;
  if (!namespaceLabels) return true;
  const injection = namespaceLabels["istio-injection"];
  if (injection !== undefined) return injection === "enabled" && revision === "default";
  const namespaceRevision = namespaceLabels[revisionLabel];
  if (namespaceRevision !== undefined) return namespaceRevision === revision;
  const podRevision = metadata.labels?.[revisionLabel];
  if (podRevision !== undefined) return podRevision === revision;
  return revision === "default" && readWish(metadata.labels?.[injectLabel]) === true;
}

/** YAML 1.1's words for yes and no, as Istio reads them; anything else says nothing. */
function readWish(value: string | undefined): boolean | undefined {
  if (/^(y|yes|true|on)$/i.test(value ?? "")) return true;
  return /^(n|no|false|off)$/i.test(value ?? "") ? false : undefined;
}
