import { type Pod, PodKind } from "../../api/core.ts";
import type { KubeObject } from "../../api/resource.ts";
import type { ControllerContext } from "./context.ts";
import type { Dependents } from "./dependents.ts";

/** Pods made or removed at a time: a storm of a thousand must not hold up the API server. */
const batch = 20;

/** Makes and removes pods for their owner, and tells so in the owner's events. */
export class PodControl {
  readonly #context: ControllerContext;
  readonly #pods: Dependents<Pod>;

  constructor(context: ControllerContext, pods: Dependents<Pod>) {
    this.#context = context;
    this.#pods = pods;
  }

  /** @throws ApiError as the API server answers; the owner then has a `FailedCreate` event */
  async create(owner: KubeObject, pod: Pod): Promise<void> {
    const { client, recorder } = this.#context;
    try {
      const created = await client.create(PodKind, pod);
      this.#pods.wrote(created);
      recorder.event(owner, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      recorder.event(owner, "Warning", "FailedCreate", `Error creating: ${message}`);
      throw error;
    }
  }

  /** @throws ApiError as the API server answers */
  async remove(owner: KubeObject, { metadata }: Pod): Promise<void> {
    const { client, recorder } = this.#context;
    this.#pods.removed(metadata.uid);
    const precondition = metadata.uid === undefined ? {} : { uid: metadata.uid };
    await client.delete(PodKind, metadata.namespace, metadata.name, precondition);
    recorder.event(owner, "Normal", "SuccessfulDelete", `Deleted pod: ${metadata.name}`);
  }
}

/**
 * Works on all of `items`, some at a time, so that nothing goes on behind the queue's back.
 *
 * @throws the first failure, after which no further batch is begun
 */
export async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let done = 0; done < items.length; done += batch) {
    const results = await Promise.allSettled(items.slice(done, done + batch).map(work));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }
}
