import type { Kind, KubeObject } from "../api/resource.ts";
import type { Client } from "../kube/contract.ts";
import { ApiError, isAlreadyExists, isConflict } from "../kube/error.ts";
import type { Overlay } from "./overlay.ts";
import type { Write } from "./write.ts";

/** Where a write goes, and who remembers it. */
export interface Writer {
  write(write: Write): Promise<KubeObject>;
  /** Whether `write` would replace a version that this process itself wrote: the server keeps less than was asked. */
  isOwn(write: Write): boolean;
}

/** The part of a client that writes need. */
export type WritingClient = Pick<Client, "create" | "get" | "replace" | "patch">;

/** @throws ApiError where the server refuses; a create of what is already there is what was wanted */
export function createWriter(client: WritingClient, overlay: Overlay): Writer {
  const produced = new Map<string, string | undefined>();

  async function send(write: Write): Promise<KubeObject> {
    switch (write.kind) {
      case "create":
        return create(write.of, write.object);
      case "replace":
        return client.replace(write.of, write.object);
      case "status":
        return client.replace(write.of, write.object, "status");
      case "patch":
        return client.patch(write.of, write.namespace, write.name, {
          kind: "json",
          operations: write.operations,
        });
    }
  }

  async function create(kind: Kind, object: KubeObject): Promise<KubeObject> {
    try {
      return await client.create(kind, object);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const { namespace, name } = object.metadata;
      const existing = await client.get(kind, namespace, name);
      if (existing === undefined) throw error;
      return existing;
    }
  }

  /** The watch may be behind, or have lost the change: the next decision is made on what the server has. */
  async function reread(write: Write): Promise<void> {
    const { namespace, name } = write.kind === "patch" ? write : write.object.metadata;
    const newest = await client.get(write.of, namespace, name).catch(() => undefined);
    if (newest !== undefined) overlay.wrote(write.of, newest);
  }

  return {
    async write(write) {
      const stored = await send(write).catch(async (error: unknown) => {
        if (isStale(error)) await reread(write);
        throw error;
      });
      overlay.wrote(write.of, stored);
      if (write.kind === "replace") produced.set(keyOf(write.of, stored), stored.metadata.resourceVersion);
      return stored;
    },
    isOwn: (write) =>
      write.kind === "replace" &&
      produced.get(keyOf(write.of, write.object)) === write.object.metadata.resourceVersion,
  };
}

/** A version that is not the newest any more, or a JSON Patch whose test did not hold. */
function isStale(error: unknown): boolean {
  return isConflict(error) || (error instanceof ApiError && error.status === 422);
}

function keyOf({ kind }: Kind, { metadata }: KubeObject): string {
  return `${kind}/${metadata.namespace ?? ""}/${metadata.name}`;
}
