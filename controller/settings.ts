import type { Provider } from "../api/canary/types.ts";
import { defaultFlaggerNamespaces } from "./adoption/flagger.ts";
import { defaultSelectorLabels } from "./targets/selector.ts";

/** What the whole controller is set to; Flagger's flags under their names. */
export interface ControllerSettings {
  /** Provider of Canaries that name none. */
  readonly meshProvider: Provider;
  /** Prometheus for built-in checks of Canaries that name none; the mesh's own signals where absent. */
  readonly metricsServer?: string;
  /** Labels of which the first found in a target's selector tells its pods from the primary's. */
  readonly selectorLabels: readonly string[];
  /** Prefixes of labels and annotations that go over to generated objects; `*` = all. */
  readonly includeLabelPrefixes: readonly string[];
  /** URL that is told the events of Canaries without an event hook, as Flagger's `-event-webhook`. */
  readonly eventWebhook?: string;
  /** Whether Canaries may name metric templates and alert providers of other namespaces. */
  readonly crossNamespaceRefs: boolean;
  /** Where a Flagger that looks at other namespaces than its own is believed to be one. */
  readonly flaggerNamespaces: readonly string[];
  /** Only this namespace; all where absent. */
  readonly namespace?: string;
  /** Rollouts under way at the same time at most; no limit where absent. */
  readonly maxRollouts?: number;
  /** Named in alerts, where several clusters tell one channel. */
  readonly clusterName?: string;
  /** Version of the proxies, where all have the same and it is known. */
  readonly envoyVersion?: string;
  /** DNS suffix of Services. */
  readonly clusterDomain: string;
}

export const defaultSettings: ControllerSettings = {
  meshProvider: "istio",
  crossNamespaceRefs: true,
  flaggerNamespaces: defaultFlaggerNamespaces,
  selectorLabels: defaultSelectorLabels,
  includeLabelPrefixes: [],
  clusterDomain: "cluster.local",
};
