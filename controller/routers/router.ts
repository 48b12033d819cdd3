import type { RollbackMark, RunMark } from "../../api/annotations.ts";
import type { ReadCanary } from "../../api/canary/types.ts";
import type { Kind, OwnerReference } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import type { Percent } from "../../lib/units.ts";
import type { RouteObservation } from "../decide/observation.ts";
import type { Write } from "../write.ts";

/** How one provider carries the weights: pure, so that what it writes can be read before it is. */
export interface Router {
  /** What must be watched for it. */
  readonly kinds: readonly Kind[];
  /** The object that carries the weights. */
  route(canary: ReadCanary): { readonly kind: string; readonly namespace: string; readonly name: string };
  observe(canary: ReadCanary, snapshot: Snapshot): RouteObservation;
  /** What is missing or differs. Weights that stand are kept; a new route begins at 100/0. */
  objects(canary: ReadCanary, owner: OwnerReference, snapshot: Snapshot): readonly Write[];
  /** Tests the version that was read. `run`: the mark to carry, none to leave marks as they are. */
  setWeight(
    canary: ReadCanary,
    canaryWeight: Percent,
    run: RunMark | undefined,
    snapshot: Snapshot,
  ): Write | undefined;
  /** Weight 0 and the mark in one write that tests nothing but the destinations. */
  rollBack(canary: ReadCanary, mark: RollbackMark, snapshot: Snapshot): Write | undefined;
  clearRunMark(canary: ReadCanary, snapshot: Snapshot): Write | undefined;
  /** Gives a route that was there before the Canary back as it was. */
  revert(canary: ReadCanary, owner: OwnerReference, snapshot: Snapshot): readonly Write[];
}
