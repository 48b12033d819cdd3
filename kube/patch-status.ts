import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../api/resource.ts";
import { createBackoff } from "./backoff.ts";
import type { Client, PatchStatus } from "./contract.ts";
import { isConflict, isNotFound } from "./error.ts";

/** Writers that meet this often on one object are a fault that must be seen. */
const maxTries = 20;

/**
 * Makes the writer of statuses.
 *
 * It replaces the status subresource of the version that it read, so the server refuses what would overwrite another's
 * write, and reads again. Nothing is written where the status would stay the same.
 *
 * @throws ApiError of the last conflict after 20 tries, and of any other failure
 */
export function createPatchStatus(client: Client): PatchStatus {
  return async (kind, { namespace, name }, change) => {
    const backoff = createBackoff(10, 200);
    for (let attempt = 1; ; attempt++) {
      const object = await client.get(kind, namespace, name);
      if (object === undefined) return undefined;
      const status = change(object);
      if (status === undefined || isDeepStrictEqual(status, statusOf(object))) return object;
      try {
        return await client.replace(kind, { ...object, status }, "status");
      } catch (error) {
        if (isNotFound(error)) return undefined;
        if (!isConflict(error) || attempt >= maxTries) throw error;
        await sleep(backoff.next());
      }
    }
  };
}

function statusOf(object: KubeObject): unknown {
  return "status" in object ? object.status : undefined;
}
