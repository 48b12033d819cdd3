import type { Kind, KubeObject } from "../api/resource.ts";
import type { Client } from "../kube/contract.ts";
import { ApiError, isAlreadyExists, isConflict } from "../kube/error.ts";
import type { Overlay } from "./overlay.ts";
import { digestOf } from "./revision.ts";
import type { Write } from "./write.ts";

/** Where a write goes, and who remembers it. */
export interface Writer {
  write(write: Write): Promise<KubeObject>;
  /** Whether `write` asks again what this process asked of the present version: the server keeps less than that. */
  isOwn(write: Write): boolean;
  /** The object is there no more. */
  forget(kind: Kind, object: KubeObject): void;
}

/** The part of a client that writes need. */
export type WritingClient = Pick<Client, "create" | "get" | "replace" | "patch">;

/** @throws ApiError where the server refuses; a create of what is already there is what was wanted */
export function createWriter(client: WritingClient, overlay: Overlay): Writer {
  /** By object: which version it has since we replaced it, and what we asked for. */
  const produced = new Map<string, { readonly version: string | undefined; readonly asked: string }>();

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
      if (write.kind === "replace") {
        const version = stored.metadata.resourceVersion;
        produced.set(keyOf(write.of, stored), { version, asked: askedFor(write.object) });
      }
      return stored;
    },
    isOwn(write) {
      if (write.kind !== "replace") return false;
      const last = produced.get(keyOf(write.of, write.object));
      return (
        last?.version === write.object.metadata.resourceVersion && last?.asked === askedFor(write.object)
      );
    },
    forget: (kind, object) => void produced.delete(keyOf(kind, object)),
  };
}

/** A version that is not the newest any more, or a JSON Patch whose test did not hold. */
function isStale(error: unknown): boolean {
  return isConflict(error) || (error instanceof ApiError && error.status === 422);
}

/** What a write wants of an object: all but what the server says itself. */
function askedFor({ metadata, ...object }: KubeObject): string {
  const { status: _status, ...rest } = object as Partial<Record<string, unknown>>;
  const { labels = {}, annotations = {} } = metadata;
  return digestOf({ ...rest, labels, annotations });
}

function keyOf({ kind }: Kind, { metadata }: KubeObject): string {
  return `${kind}/${metadata.namespace ?? ""}/${metadata.name}`;
}
