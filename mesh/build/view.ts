import type { ResourceType } from "./resource.ts";
import type { Layers } from "./resource-set.ts";

/** Everything that one proxy may ask for. */
export interface View {
  readonly resources: Readonly<Record<ResourceType, Layers>>;
  /**
   * The routes for a proxy that carries no runtime layer `fl`: a live canary's real weights stand in the table.
   * `resources.route` has the safe state there, and the keys of the layer rule. Built when first asked for.
   */
  readonly plainRoutes: Layers;
  /** Keys of the layer `fl`. The same object while the same keys exist, whatever their values. */
  readonly runtimeKeys: ReadonlySet<string>;
}

/** A view without anything, e.g. for a proxy that is not known yet. */
export const emptyView: View = {
  resources: { runtime: [], cluster: [], endpoint: [], listener: [], route: [], secret: [] },
  plainRoutes: [],
  runtimeKeys: new Set(),
};
