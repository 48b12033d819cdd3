import { isObject, type JsonObject } from "./json.ts";

/** `metadata` as stored: a superset of what a client sends. */
interface Meta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: Owner[];
  managedFields?: unknown[];
  [field: string]: unknown;
}

export interface Owner {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Any object of the API, as stored. */
export interface ApiObject {
  apiVersion: string;
  kind: string;
  metadata: Meta;
  [field: string]: unknown;
}

/** True where `value` has the outer shape of an API object; the inner one is the schemas' business. */
export function isApiObject(value: unknown): value is ApiObject {
  return (
    isObject(value) &&
    typeof value.apiVersion === "string" &&
    typeof value.kind === "string" &&
    isObject(value.metadata) &&
    typeof value.metadata.name === "string"
  );
}

/** Kubernetes' time: RFC 3339 in whole seconds, UTC. */
export function timestamp(epochMilliseconds: number): string {
  return `${new Date(epochMilliseconds).toISOString().slice(0, 19)}Z`;
}

/** The fields of `object` other than identity, metadata and status: what a change of generation is about. */
export function desiredFields(object: JsonObject): JsonObject {
  const { apiVersion: _v, kind: _k, metadata: _m, status: _s, ...rest } = object;
  return rest;
}

/** An object's metadata alone, as metadata-only clients and table rows carry it. */
export function partialMetadata({ metadata }: ApiObject): object {
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
}
