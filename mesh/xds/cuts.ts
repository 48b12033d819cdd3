import {
  actionAnnotation,
  revisionAnnotation,
  rollbackAnnotation,
  runAnnotation,
} from "../../api/annotations.ts";
import { CanaryKind } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/resource.ts";
import type { Cut } from "../../api/signals.ts";
import type { Snapshot } from "../../kube/contract.ts";
import type { Logger } from "../../lib/log.ts";
import type { RouteTable } from "../model/route.ts";
import { findRule } from "../route-kinds.ts";
import { concerns, cutTable } from "./cut-routes.ts";

/** A cut and what a person had asked of its Canary when it was set. */
interface Held {
  readonly cut: Cut;
  readonly actionBefore: string;
}

/**
 * The cuts in force: each holds a canary's destinations at 0 whatever the stored route says.
 *
 * A cut ends by itself once the API server shows that it has done its work or is out of date: the route carries a
 * rollback mark with its id, or the mark of another revision's run, or a person has asked something of the Canary since.
 */
export function createCuts(logger: Logger) {
  const cuts = new Map<string, Held>();

  return {
    /** @returns false where it was in force already */
    add(cut: Cut, snapshot: Snapshot): boolean {
      if (cuts.has(cut.id)) return false;
      cuts.set(cut.id, { cut, actionBefore: actionOn(canaryOf(cut, snapshot)) });
      logger.warn({ cut: cut.id, route: cut.route, reason: cut.reason }, "canary cut off from traffic");
      return true;
    },
    remove: (id: string): boolean => cuts.delete(id),
    list: (): readonly Cut[] => [...cuts.values()].map(({ cut }) => cut),
    /** Ends what the snapshot shows to be over. */
    settle(snapshot: Snapshot): void {
      for (const [id, held] of cuts) {
        const reason = endOf(held, snapshot);
        if (reason === undefined) continue;
        cuts.delete(id);
        logger.info({ cut: id, reason }, "cut ended");
      }
    },
    /** Route tables as the cuts hold them; the same array where none is for any of them. */
    apply(tables: readonly RouteTable[]): readonly RouteTable[] {
      const inForce = [...cuts.values()].map(({ cut }) => cut);
      if (!inForce.some((cut) => tables.some((table) => concerns(cut, table)))) return tables;
      return tables.map((table) => inForce.filter((cut) => concerns(cut, table)).reduce(cutTable, table));
    },
  };
}

function endOf({ cut, actionBefore }: Held, snapshot: Snapshot): string | undefined {
  const route = findRule(snapshot, cut.route);
  const { [rollbackAnnotation]: rollback, [runAnnotation]: run } = route?.metadata.annotations ?? {};
  if (field(rollback, "id") === cut.id) return "the stored route carries the rollback";
  const revision = field(run, "revision");
  if (revision !== undefined && revision !== cut.revision) return "another revision is released";
  const action = actionOn(canaryOf(cut, snapshot));
  return action !== "" && action !== actionBefore ? "a person has acted" : undefined;
}

function canaryOf({ canaryUid, route }: Cut, snapshot: Snapshot): KubeObject | undefined {
  return snapshot.list(CanaryKind, route.namespace).find(({ metadata }) => metadata.uid === canaryUid);
}

/** What a person asks of a Canary, as a text that differs from what was asked before. */
function actionOn(canary: KubeObject | undefined): string {
  const { [actionAnnotation]: action = "", [revisionAnnotation]: revision = "" } =
    canary?.metadata.annotations ?? {};
  return action === "" ? "" : `${action} ${revision}`;
}

/** A text field of a JSON object; undefined where there is none. */
function field(json: string | undefined, name: string): string | undefined {
  if (json === undefined) return undefined;
  try {
    const value: unknown = Reflect.get(Object(JSON.parse(json)), name);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
