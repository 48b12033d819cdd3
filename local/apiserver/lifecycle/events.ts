import type { ApiContext } from "../context.ts";
import { textAt } from "../json.ts";
import { inBackground } from "./internal.ts";

const lifetime = 3_600_000;

/** Forgets Events an hour after they were last seen. Looked at when an Event is written: no timer runs for it. */
export function expireEvents(context: ApiContext): void {
  let checkedAt = 0;
  context.store.onChange(({ resource, type }) => {
    if (resource !== "events" || type !== "ADDED" || context.now() - checkedAt < 60_000) return;
    checkedAt = context.now();
    inBackground(context, "expire events", async () => {
      for (const { object } of context.store.list("events")) {
        const seen =
          textAt(object, "lastTimestamp") ?? textAt(object, "eventTime") ?? object.metadata.creationTimestamp;
        if (context.now() - Date.parse(seen) < lifetime) continue;
        await context.store.remove("events", object, { resourceVersion: object.metadata.resourceVersion });
      }
    });
  });
}
