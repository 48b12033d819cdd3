import { setTimeout as wait } from "node:timers/promises";
import type { Kind, KubeObject } from "../api/resource.ts";
import type { Client, ListOptions } from "../kube/contract.ts";
import { isExpired, isTransient } from "../kube/error.ts";
import { later } from "../kube/resource-version.ts";
import { watch } from "../kube/watch.ts";

export interface Followed<T> {
  readonly deleted: boolean;
  readonly object: T;
}

/**
 * Yields what is there, then every change, until the consumer ends it. A server that goes away for a while is waited for.
 *
 * @throws ApiError where the server refuses the kind or the namespace
 */
export async function* follow<T extends KubeObject>(
  client: Client,
  kind: Kind<T>,
  options: ListOptions,
): AsyncGenerator<Followed<T>> {
  let resourceVersion: string | undefined;
  const told = new Map<string, string | undefined>();
  for (;;) {
    try {
      if (resourceVersion === undefined) {
        const list = await client.list(kind, options);
        for (const object of list.items) if (isNews(told, object)) yield { deleted: false, object };
        resourceVersion = list.resourceVersion;
      }
      for await (const event of watch(client, kind, { ...options, resourceVersion })) {
        if (event.type === "BOOKMARK") resourceVersion = later(event.resourceVersion, resourceVersion);
        else {
          resourceVersion = later(event.object.metadata.resourceVersion, resourceVersion);
          const deleted = event.type === "DELETED";
          if (isNews(told, event.object) || deleted) yield { deleted, object: event.object };
        }
      }
    } catch (error) {
      if (isExpired(error)) resourceVersion = undefined;
      else if (!isTransient(error) || resourceVersion === undefined) throw error;
    }
    await wait(500);
  }
}

/** Whether this version was not told yet: a list after a break repeats what is known. */
function isNews(told: Map<string, string | undefined>, { metadata }: KubeObject): boolean {
  const key = `${metadata.namespace ?? ""}/${metadata.name}`;
  if (told.get(key) === metadata.resourceVersion) return false;
  told.set(key, metadata.resourceVersion);
  return true;
}
