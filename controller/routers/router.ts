import type { RollbackMark, RunMark } from "../../api/annotations.ts";
import type { ReadCanary } from "../../api/canary/types.ts";
import type { Kind, OwnerReference } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import type { RouteObservation } from "../decide/observation.ts";
import type { Traffic } from "../decide/traffic.ts";
import type { Write } from "../write.ts";

/** How one provider carries traffic to both versions: pure, so that what it writes can be read before it is. */
export interface Router {
  /** What must be watched for it. */
  readonly kinds: readonly Kind[];
  /** The object that carries the weights. */
  route(canary: ReadCanary): { readonly kind: string; readonly namespace: string; readonly name: string };
  /** How the route stands, held against what the state asks for. */
  observe(canary: ReadCanary, wanted: Traffic, snapshot: Snapshot): RouteObservation;
  /** What is missing or differs from the user's spec. Weights that stand are kept; a new route begins with `wanted`. */
  objects(canary: ReadCanary, owner: OwnerReference, wanted: Traffic, snapshot: Snapshot): readonly Write[];
  /** Tests the version that was read. `run`: the mark to carry, none to leave marks as they are. */
  setTraffic(
    canary: ReadCanary,
    wanted: Traffic,
    run: RunMark | undefined,
    snapshot: Snapshot,
  ): Write | undefined;
  /** Nothing for the canary, and the mark, in one write that tests nothing but the destinations. */
  rollBack(canary: ReadCanary, mark: RollbackMark, snapshot: Snapshot): Write | undefined;
  clearRunMark(canary: ReadCanary, snapshot: Snapshot): Write | undefined;
  /** Gives a route that was there before the Canary back as it was. */
  revert(canary: ReadCanary, owner: OwnerReference, snapshot: Snapshot): readonly Write[];
  /** Whether the apex Service itself leads to the canary's pods at this traffic. Absent: never, it leads to the primary's. */
  apexLeadsToCanary?(wanted: Traffic): boolean;
}
