import type { Client, Informers, Recorder } from "../../kube/contract.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";

/** What every controller is given. */
export interface ControllerContext {
  readonly client: Client;
  readonly informers: Informers;
  readonly recorder: Recorder;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** A started controller. */
export interface Controller {
  /** Takes no more work; resolves when what is going on is done. */
  close(): Promise<void>;
}

/** The key of an object in a work queue. */
export function queueKey({
  metadata,
}: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

/** The two parts of a {@link queueKey}. */
export function splitKey(key: string): readonly [namespace: string, name: string] {
  const slash = key.indexOf("/");
  return [key.slice(0, slash), key.slice(slash + 1)];
}
