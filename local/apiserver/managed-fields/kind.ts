import type { Target, WriteOptions } from "../context.ts";
import { emptyStruct } from "../kinds/decode.ts";
import { groupVersion, type Resource, type ResourceVersion, resourceName } from "../resources/resource.ts";
import { emptySet, type FieldSet, insert } from "./field-set.ts";
import { customShape, type Shape, structShape } from "./shape.ts";
import type { TrackedKind, Writer } from "./track.ts";

/** What tracking needs to know of the target's kind and endpoint. */
export function trackedKind({ resource, version, subresource }: Target): TrackedKind {
  const { group, kind } = resource;
  const head = { apiVersion: groupVersion(group, version.name), kind };
  return {
    shape: (apiVersion) => shapeIn(resource, apiVersion),
    reset: resetFields(resource, version, subresource),
    empty: version.type === undefined ? head : { ...emptyStruct(version.type), ...head },
  };
}

/** Who makes this write. */
export function writerOf(
  { resource, version, subresource }: Target,
  options: WriteOptions,
  now: number,
): Writer {
  return {
    manager: options.fieldManager,
    apiVersion: groupVersion(resource.group, version.name),
    subresource: options.trackedAs ?? subresource,
    now,
  };
}

function shapeIn(resource: Resource, apiVersion: string): Shape | undefined {
  const version = resource.versions.find(({ name }) => groupVersion(resource.group, name) === apiVersion);
  if (version === undefined) return undefined;
  return version.type === undefined ? customShape(version.schema) : structShape(version.type);
}

/** What an endpoint never stores of what is sent to it, besides status (main) and spec (status). */
const more: Readonly<Record<string, readonly string[][]>> = {
  "deployments.apps/status": [["metadata", "labels"]],
  "pods/status": [
    ["metadata", "deletionTimestamp"],
    ["metadata", "ownerReferences"],
  ],
  "customresourcedefinitions.apiextensions.k8s.io/status": [["metadata"]],
};

function resetFields(
  resource: Resource,
  { status }: ResourceVersion,
  subresource: string | undefined,
): FieldSet {
  const set = emptySet();
  const add = (...path: string[]) =>
    insert(
      set,
      path.map((step) => `f:${step}`),
    );
  if (!status) return set;
  if (subresource !== "status") add("status");
  else {
    add("spec");
    if (resource.custom) add("metadata");
    for (const path of more[`${resourceName(resource)}/status`] ?? []) add(...path);
  }
  return set;
}
