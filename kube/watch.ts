import type { Kind, KubeObject } from "../api/resource.ts";
import type { Client, ListOptions } from "./contract.ts";
import { ApiError } from "./error.ts";
import { readLines } from "./lines.ts";
import { resourcePath, withQuery } from "./path.ts";

/** One line of a watch: what happened to an object, or how far the server has come (`BOOKMARK`). */
export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

export interface WatchOptions extends ListOptions {
  /** Changes after this one. */
  readonly resourceVersion: string;
  /** After which the server ends the watch. */
  readonly timeoutSeconds?: number;
}

/**
 * Watches a kind until the server ends the stream or `signal` aborts.
 *
 * @throws ApiError what the server refused, at the start or by an ERROR event in the stream (410: `isExpired`); reason
 *   `BadAnswer` for a line that is no event
 */
export async function* watch<T extends KubeObject>(
  client: Pick<Client, "stream">,
  kind: Kind<T>,
  { namespace, ...query }: WatchOptions,
  signal?: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const path = withQuery(resourcePath(kind, namespace), { watch: true, allowWatchBookmarks: true, ...query });
  for await (const line of readLines(client.stream(path, signal))) yield readEvent<T>(line);
}

interface Line {
  readonly type?: string;
  readonly object?: {
    readonly code?: number;
    readonly reason?: string;
    readonly message?: string;
    readonly metadata?: KubeObject["metadata"];
  };
}

function readEvent<T extends KubeObject>(line: string): WatchEvent<T> {
  const { type, object } = parse(line);
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      if (typeof object?.metadata?.name !== "string") break;
      return { type, object: object as T };
    case "BOOKMARK":
      if (typeof object?.metadata?.resourceVersion !== "string") break;
      return { type, resourceVersion: object.metadata.resourceVersion };
    case "ERROR":
      throw new ApiError({
        status: object?.code ?? 500,
        reason: object?.reason ?? "Unknown",
        message: object?.message ?? "the watch failed",
      });
    default:
  }
  throw badLine(line);
}

function parse(line: string): Line {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // A cut or broken stream: below.
  }
  throw badLine(line);
}

function badLine(line: string): ApiError {
  return new ApiError({
    status: 200,
    reason: "BadAnswer",
    message: `the watch sent what is no event: ${line.slice(0, 80)}`,
  });
}
