import type { Event } from "../../api/core.ts";
import { compareVersions } from "../../kube/resource-version.ts";
import { paint } from "../output/colour.ts";
import { ageOf } from "../output/duration.ts";
import type { Row } from "../output/table.ts";

/** The columns of `events`. */
export function eventHeaders(withNamespace: boolean): Row {
  return [...(withNamespace ? ["NAMESPACE"] : []), "AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"];
}

/** One Event as a row of {@link eventHeaders}. `now` in epoch milliseconds. */
export function eventRow(event: Event, withNamespace: boolean, now: number): Row {
  const { metadata, involvedObject, type = "", reason = "", message = "", count = 1 } = event;
  const times = count > 1 ? ` (x${count})` : "";
  return [
    ...(withNamespace ? [metadata.namespace ?? ""] : []),
    ageOf(timeOf(event), now) + times,
    type === "Warning" ? paint("yellow", type) : type,
    reason,
    `${involvedObject.kind?.toLowerCase() ?? ""}/${involvedObject.name ?? ""}`,
    message.trim().replaceAll(/\s*\n\s*/g, " "),
  ];
}

/** Events in the order in which they last happened; of one second, for they tell no more, in the order of their writes. */
export function inOrder(events: readonly Event[]): readonly Event[] {
  return events.toSorted(
    (a, b) =>
      Date.parse(timeOf(a) ?? "") - Date.parse(timeOf(b) ?? "") ||
      compareVersions(a.metadata.resourceVersion, b.metadata.resourceVersion),
  );
}

function timeOf({ lastTimestamp, eventTime, firstTimestamp, metadata }: Event): string | undefined {
  return lastTimestamp ?? eventTime ?? firstTimestamp ?? metadata.creationTimestamp;
}
