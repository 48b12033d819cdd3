import { type ControllerRevision, ControllerRevisionKind } from "../../api/core.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import { isAlreadyExists } from "../../kube/error.ts";
import { controllerOf } from "../../kube/snapshot.ts";
import type { ControllerContext } from "./context.ts";
import { Dependents } from "./dependents.ts";
import { outdatedRevisions, planRevisions, type RevisionsInput } from "./revision-history.ts";

/** Keeps the ControllerRevisions of StatefulSets or DaemonSets in the API server. */
export class Revisions {
  readonly #client: ControllerContext["client"];
  readonly #held: Dependents<ControllerRevision>;

  constructor(context: ControllerContext) {
    this.#client = context.client;
    this.#held = new Dependents(context, ControllerRevisionKind);
  }

  /**
   * The revision of the owner's template, and all; what is missing is stored.
   *
   * @throws ApiError as the API server answers
   */
  async bring<Owner extends KubeObject>(
    input: Omit<RevisionsInput<Owner>, "revisions"> & {
      readonly kind: Kind<Owner>;
      readonly selector: unknown;
    },
  ): Promise<{ readonly current: ControllerRevision; readonly all: readonly ControllerRevision[] }> {
    const revisions = await this.#held.claim(input.owner, input.kind, input.selector);
    const plan = planRevisions({ ...input, revisions });
    if (plan.create) {
      const current = await this.#create(input.owner, plan.current);
      return { current, all: [...revisions, current] };
    }
    if (plan.renumber === undefined) return { current: plan.current, all: revisions };
    const { namespace, name } = plan.current.metadata;
    const body = { revision: plan.renumber };
    const current = await this.#client.patch(ControllerRevisionKind, namespace, name, {
      kind: "merge",
      body,
    });
    this.#held.wrote(current);
    return { current, all: revisions.map((revision) => (revision === plan.current ? current : revision)) };
  }

  /** Removes what is beyond `limit` and not in use. */
  async trim(
    revisions: readonly ControllerRevision[],
    inUse: ReadonlySet<string>,
    limit: number,
  ): Promise<void> {
    for (const { metadata } of outdatedRevisions(revisions, inUse, limit)) {
      this.#held.removed(metadata.uid);
      await this.#client.delete(ControllerRevisionKind, metadata.namespace, metadata.name);
    }
  }

  close(): void {
    this.#held.close();
  }

  async #create(owner: KubeObject, revision: ControllerRevision): Promise<ControllerRevision> {
    try {
      const created = await this.#client.create(ControllerRevisionKind, revision);
      this.#held.wrote(created);
      return created;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const { namespace, name } = revision.metadata;
      const held = await this.#client.get(ControllerRevisionKind, namespace, name);
      if (!held || controllerOf(held) !== owner.metadata.uid) throw error;
      this.#held.wrote(held);
      return held;
    }
  }
}
