import type { GoStruct } from "../kinds/types.ts";
import type { ApiObject } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import type { FieldError } from "../status.ts";
import type { Store } from "../storage/store.ts";

/** A column of a CRD's `additionalPrinterColumns`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly jsonPath: string;
  readonly priority?: number;
}

/** Where the scale subresource finds its numbers: paths of fields without the leading dot. */
export interface ScalePaths {
  readonly specReplicas: readonly string[];
  readonly statusReplicas: readonly string[];
  readonly labelSelector?: readonly string[];
}

export interface ResourceVersion {
  readonly name: string;
  readonly served: boolean;
  /** A structural schema; undefined for built-in kinds and for CRDs that keep everything. */
  readonly schema?: Schema;
  /** The Go type of a built-in kind. */
  readonly type?: GoStruct;
  /** For a version of a built-in kind that differs from the one that is stored. */
  readonly conversion?: Conversion;
  readonly columns?: readonly PrinterColumn[];
  /** Paths of fields that a CRD lets be selected by, e.g. `spec.color`. */
  readonly selectableFields?: readonly string[];
  /** Whether status is written through its own endpoint. */
  readonly status: boolean;
  readonly scale?: ScalePaths;
  readonly deprecation?: string;
}

/** Between a version and the one that is stored. Neither changes its argument. */
export interface Conversion {
  readonly toStored: (object: ApiObject) => ApiObject;
  readonly fromStored: (object: ApiObject) => ApiObject;
}

/** What a built-in kind does beyond being stored. All hooks change `object` in place or only look at it. */
export interface Strategy {
  /** Fills in Kubernetes' defaults. */
  readonly setDefaults?: (object: ApiObject) => void;
  /** What Kubernetes' own admission plugins fill in, before any webhook sees the object. */
  readonly admit?: (object: ApiObject, store: Store) => void;
  /** Sets what the server owns in a new object (status, allocated fields). */
  readonly prepareForCreate?: (object: ApiObject) => void;
  /** Carries over what the server owns. */
  readonly prepareForUpdate?: (object: ApiObject, old: ApiObject) => void;
  readonly validate?: (object: ApiObject, old: ApiObject | undefined) => FieldError[];
  /** What is allowed and yet unwise. */
  readonly warnings?: (object: ApiObject, old: ApiObject | undefined) => string[];
  /** Seconds that a deletion leaves the object; 0 deletes at once. */
  readonly gracePeriod?: (object: ApiObject, asked: number | undefined) => number;
  /** A deletion answers with the object instead of a Status. */
  readonly answersDeleted?: boolean;
  /** False for kinds without metadata.generation. */
  readonly countsGeneration?: boolean;
  /** Refuses DELETE of the whole collection. */
  readonly deletesOneByOne?: boolean;
  /** PUT of an object that does not exist creates it. */
  readonly createsOnUpdate?: boolean;
  /** PUT must name the resourceVersion that it replaces. */
  readonly updatesByVersionOnly?: boolean;
}

/** One resource: a kind with its names and how it is served. */
export interface Resource {
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly versions: readonly ResourceVersion[];
  readonly storageVersion: string;
  /** False: nothing is stored, only POST is served (reviews). */
  readonly stored: boolean;
  /** True for custom resources. */
  readonly custom: boolean;
  /** The store's name where it is another resource's: both are views of the same objects. */
  readonly storedAs?: string;
  readonly strategy: Strategy;
  /** Subresources besides status and scale, e.g. `log`. */
  readonly subresources: readonly Subresource[];
}

export interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** A resource's own name: `deployments.apps`, or `pods`. */
export function resourceName({ group, plural }: Pick<Resource, "group" | "plural">): string {
  return group === "" ? plural : `${plural}.${group}`;
}

/** The name under which the store keeps its objects: mostly its own. */
export function storeName(resource: Pick<Resource, "group" | "plural" | "storedAs">): string {
  return resource.storedAs ?? resourceName(resource);
}

/** `apps/v1`, or `v1` for the core group. */
export function groupVersion(group: string, version: string): string {
  return group === "" ? version : `${group}/${version}`;
}

/** The served version called `name`. */
export function servedVersion(resource: Resource, name: string): ResourceVersion | undefined {
  return resource.versions.find((version) => version.name === name && version.served);
}
