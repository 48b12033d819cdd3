import { apiVersion, type Kind, type KubeObject } from "../api/resource.ts";
import type { Client, Connection, ListOptions, Patch } from "./contract.ts";
import { ApiError, isExpired, isNotFound } from "./error.ts";
import { resourcePath, withQuery } from "./path.ts";
import { createTransport } from "./transport.ts";

/** Objects per page of a list: what client-go takes. */
const pageSize = 500;

interface Page<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[];
}

/**
 * Makes the client of one API server: one pool of kept-alive HTTP/1.1 connections, opened at the first call.
 *
 * Reads are tried again after 429, 503 and cut connections; writes never are, as only the caller knows whether it still
 * wants them. `close` it, or idle connections stay open (they do not keep the process alive).
 */
export function createClient(connection: Connection): Client {
  const transport = createTransport(connection);
  const fieldManager = connection.fieldManager ?? "fairlead";

  const request: Client["request"] = async <T>(
    method: string,
    path: string,
    body?: unknown,
    options: Parameters<Client["request"]>[3] = {},
  ) => {
    const text = await transport.text({ method, path, body, ...options });
    return parse<T>(text, path);
  };

  async function listPages<T extends KubeObject>(
    kind: Kind<T>,
    { namespace, ...selectors }: ListOptions,
    limit?: number,
  ) {
    const items: T[] = [];
    const path = resourcePath(kind, namespace);
    const version = apiVersion(kind);
    for (let next: string | undefined; ; ) {
      const page: Page<T> = await request("GET", withQuery(path, { ...selectors, limit, continue: next }));
      // Items of Kubernetes' own lists carry neither apiVersion nor kind.
      for (const item of page.items ?? []) items.push({ ...item, apiVersion: version, kind: kind.kind });
      next = page.metadata?.continue;
      if (!next) return { items, resourceVersion: page.metadata?.resourceVersion ?? "" };
    }
  }

  return {
    async get(kind, namespace, name) {
      try {
        return await request("GET", resourcePath(kind, namespace, name));
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    async list(kind, options = {}) {
      try {
        return await listPages(kind, options, pageSize);
      } catch (error) {
        // The pages took longer than the server keeps their version: one answer cannot expire.
        if (isExpired(error)) return listPages(kind, options);
        throw error;
      }
    },
    create(kind, object, { dryRun = false } = {}) {
      const query = { fieldManager, dryRun: dryRun ? "All" : undefined };
      return request("POST", withQuery(resourcePath(kind, object.metadata.namespace), query), object);
    },
    replace(kind, object, subresource) {
      const { namespace, name } = object.metadata;
      return request(
        "PUT",
        withQuery(resourcePath(kind, namespace, name, subresource), { fieldManager }),
        object,
      );
    },
    patch(kind, namespace, name, patch, subresource) {
      const query = { fieldManager, force: patch.kind === "apply" ? patch.force : undefined };
      const path = withQuery(resourcePath(kind, namespace, name, subresource), query);
      return request("PATCH", path, patchBody(patch), { contentType: patchTypes[patch.kind] });
    },
    async delete(kind, namespace, name, { uid, ...options } = {}) {
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        ...options,
        ...(uid !== undefined && { preconditions: { uid } }),
      };
      try {
        await request("DELETE", resourcePath(kind, namespace, name), body);
      } catch (error) {
        if (!isNotFound(error) && !(uid !== undefined && isOtherUid(error))) throw error;
      }
    },
    request,
    text: (path, signal) => transport.text({ method: "GET", path, accept: "*/*", signal }),
    stream: (path, signal) => transport.stream({ method: "GET", path, accept: "*/*", signal }),
    close: () => transport.close(),
  };
}

const patchTypes: Readonly<Record<Patch["kind"], string>> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  // Every JSON document is a YAML document.
  apply: "application/apply-patch+yaml",
};

function patchBody(patch: Patch): unknown {
  return patch.kind === "json" ? patch.operations : patch.body;
}

/** The object of that uid is gone; another has its name now. */
function isOtherUid(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409 && /\buid\b/i.test(error.message);
}

function parse<T>(text: string, path: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new ApiError(
      { status: 200, reason: "BadAnswer", message: `the API server's answer to ${path} is not JSON` },
      { cause },
    );
  }
}
