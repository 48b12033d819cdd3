import { systemUser } from "../authentication/user.ts";
import type { ApiContext, Target, WriteOptions } from "../context.ts";
import type { ApiObject } from "../object.ts";
import { servedVersion } from "../resources/resource.ts";
import { StatusError } from "../status.ts";

/** How the server itself writes. */
export function internalWrite(): WriteOptions {
  return {
    user: systemUser,
    dryRun: false,
    fieldValidation: "Ignore",
    fieldManager: "apiserver",
    warnings: [],
  };
}

/** The target of a stored object, by the store's name of its resource. undefined where it is no longer served. */
export function targetOf(
  context: ApiContext,
  resourceName: string,
  namespace: string | undefined,
  name: string,
): Target | undefined {
  const resource = context.registry.named(resourceName);
  if (resource === undefined) return undefined;
  const version = servedVersion(resource, resource.storageVersion) ?? resource.versions[0];
  return version === undefined ? undefined : { resource, version, namespace, name, subresource: undefined };
}

/** The target of a stored object. */
export function targetOfObject(
  context: ApiContext,
  resourceName: string,
  { metadata }: ApiObject,
): Target | undefined {
  return targetOf(context, resourceName, metadata.namespace, metadata.name);
}

/**
 * Does `work` after the current change has been answered. An object that is gone, exists already or
 * was changed meanwhile is no fault: the change that did it brings the work here again.
 */
export function inBackground(context: ApiContext, what: string, work: () => Promise<void>): void {
  setImmediate(() => {
    if (context.closing.aborted) return;
    work().catch((error: unknown) => {
      if (error instanceof StatusError && (error.code === 404 || error.code === 409)) return;
      context.logger.warn({ error: String(error) }, `cannot ${what}`);
    });
  });
}
