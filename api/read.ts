/** Reads objects of the kinds in `kinds.ts`: anything in, a value of the kind's type and what is wrong with it out. */
import { crds } from "./crds.ts";
import type { Kind, KubeObject, Problem, ResourceRef } from "./resource.ts";
import { fieldPath } from "./schema/pointer.ts";
import { isObject, prepare, type UnknownField } from "./schema/prepare.ts";
import type { Schema } from "./schema/schema.ts";
import { suggest } from "./schema/suggest.ts";
import { type FieldError, show, validateSchema } from "./schema/validate.ts";

/**
 * What was read. `value` is there unless a problem is an error: with warnings alone (an unknown or deprecated field)
 * the object means what it means without them.
 */
export interface Reading<T> {
  readonly value: T | undefined;
  readonly problems: readonly Problem[];
}

/**
 * Reads an object by its CRD's schema: defaults filled in, unknown fields dropped and told (as warnings), wrong types
 * and values told (as errors), each with its JSON pointer and what is allowed. Never throws.
 */
export function read<T extends KubeObject>(kind: Kind<T>, found: unknown): Reading<T> {
  const resource = referTo(kind, found);
  const envelope = checkEnvelope(kind, found);
  if (!isObject(found) || envelope.length > 0)
    return { value: undefined, problems: problemsOf(resource, envelope) };

  const unknown: UnknownField[] = [];
  const { properties = {} } = schemaOf(kind);
  const { metadata: _metadata, apiVersion: _apiVersion, kind: _kind, ...parts } = properties;
  const schema = { ...schemaOf(kind), properties: parts };
  const { apiVersion, kind: name, metadata, ...rest } = found;
  const prepared = prepare(schema, rest, "", unknown);
  const errors = validateSchema(schemaOf(kind), prepared);
  const problems = [
    ...problemsOf(resource, errors),
    ...unknown.map((field) => ({ resource, ...wordUnknown(field), severity: "warning" as const })),
  ];
  if (errors.length > 0 || !isObject(prepared)) return { value: undefined, problems };
  // The schema has just been checked, so the object has the type that was generated from it.
  return {
    value: { apiVersion, kind: name, metadata: copyMetadata(metadata), ...prepared } as KubeObject as T,
    problems,
  };
}

/** True where any problem keeps the object from being carried out. */
export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some(({ severity }) => severity !== "warning");
}

/** One line for people: `canary demo/shop: spec.analysis.interval is ...`. */
export function describeProblem({ resource, field, message }: Problem): string {
  const name = resource.namespace === undefined ? resource.name : `${resource.namespace}/${resource.name}`;
  return `${resource.kind.toLowerCase()} ${name}: ${fieldPath(field)} ${message}`;
}

/** Which object it claims to be, as far as that can be told. */
function referTo(kind: Kind, found: unknown): ResourceRef {
  const metadata = isObject(found) && isObject(found.metadata) ? found.metadata : {};
  const name = typeof metadata.name === "string" ? metadata.name : "";
  return typeof metadata.namespace === "string"
    ? { kind: kind.kind, namespace: metadata.namespace, name }
    : { kind: kind.kind, name };
}

function checkEnvelope(kind: Kind, found: unknown): FieldError[] {
  if (!isObject(found)) return [{ field: "", message: `is ${show(found)}, must be an object` }];
  const errors: FieldError[] = [];
  const allowed = crdOf(kind).spec.versions.map(({ name }) => `${kind.group}/${name}`);
  if (found.kind !== kind.kind)
    errors.push({ field: "/kind", message: `is ${show(found.kind)}, must be \`${kind.kind}\`` });
  if (!allowed.includes(String(found.apiVersion)))
    errors.push({
      field: "/apiVersion",
      message: `is ${show(found.apiVersion)}, ${suggest(String(found.apiVersion), allowed)}`,
    });
  if (!isObject(found.metadata)) return [...errors, { field: "/metadata", message: "is required" }];
  const { name, namespace, labels, annotations } = found.metadata;
  if (typeof name !== "string" || name === "")
    errors.push({
      field: "/metadata/name",
      message: name === undefined ? "is required" : `is ${show(name)}, must be a name`,
    });
  if (namespace !== undefined && typeof namespace !== "string")
    errors.push({ field: "/metadata/namespace", message: `is ${show(namespace)}, must be a string` });
  for (const [field, map] of [
    ["labels", labels],
    ["annotations", annotations],
  ] as const) {
    if (map !== undefined && map !== null)
      errors.push(...validateSchema(stringMap, map, `/metadata/${field}`));
  }
  return errors;
}

const stringMap: Schema = { type: "object", additionalProperties: { type: "string" } };

function copyMetadata(metadata: unknown): unknown {
  if (!isObject(metadata)) return metadata;
  const { labels, annotations, ...rest } = metadata;
  return {
    ...rest,
    ...(labels ? { labels: prepare(stringMap, labels, "", []) } : {}),
    ...(annotations ? { annotations: prepare(stringMap, annotations, "", []) } : {}),
  };
}

function problemsOf(resource: ResourceRef, errors: readonly FieldError[]): Problem[] {
  return errors.map((error) => ({ resource, ...error }));
}

function wordUnknown({ pointer, name, allowed }: UnknownField): FieldError {
  return { field: pointer, message: `is not a field: ${suggest(name, allowed)}` };
}

function crdOf(kind: Kind) {
  const crd = crds.find(({ spec }) => spec.group === kind.group && spec.names.kind === kind.kind);
  if (!crd)
    throw new Error(
      `no schema for kind \`${kind.kind}\` of group \`${kind.group}\`: add its CRD to api/crds.ts`,
    );
  return crd;
}

/** Served versions of a kind share one schema (`generate.ts` checks it). */
function schemaOf(kind: Kind): Schema {
  return crdOf(kind).spec.versions[0]?.schema?.openAPIV3Schema as Schema;
}
