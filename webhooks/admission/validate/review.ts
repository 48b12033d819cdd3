import type { CanaryDefaults } from "../../../api/canary/read.ts";
import type { Canary } from "../../../api/kinds.ts";
import type { UnreadObject } from "../../../api/resource.ts";
import { isObject } from "../../../api/schema/prepare.ts";
import { type CheckObject, type HasTemplate, type Validation, validateObject } from "./object.ts";

/** What of an admission.k8s.io/v1 AdmissionReview is read. */
export interface AdmissionReview {
  readonly apiVersion: string;
  readonly kind: string;
  readonly request: {
    readonly uid: string;
    readonly operation: "CREATE" | "UPDATE" | "DELETE" | "CONNECT";
    readonly namespace?: string;
    readonly subResource?: string;
    readonly object?: unknown;
    readonly oldObject?: unknown;
  };
}

export interface AdmissionAnswer {
  readonly apiVersion: "admission.k8s.io/v1";
  readonly kind: "AdmissionReview";
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly warnings?: readonly string[];
    readonly status?: { readonly code: number; readonly reason: string; readonly message: string };
  };
}

/**
 * Answers one AdmissionReview. Pure: `canariesIn` looks up the Canaries of a namespace, `check` is what another room says
 * of objects of its kinds.
 * Deletion and subresources are always allowed; an object of no kind of ours too.
 */
export function validate(
  { request }: AdmissionReview,
  canariesIn: (namespace: string) => readonly Canary[],
  check?: CheckObject,
  defaults?: CanaryDefaults,
  hasTemplate?: HasTemplate,
): AdmissionAnswer {
  const { uid, operation, subResource, object, oldObject, namespace } = request;
  if ((operation !== "CREATE" && operation !== "UPDATE") || subResource || !isEnvelope(object))
    return answer(uid, { allowed: true, warnings: [] });
  const placed =
    namespace && !object.metadata.namespace
      ? { ...object, metadata: { ...object.metadata, namespace } }
      : object;
  const others = object.kind === "Canary" ? canariesIn(placed.metadata.namespace ?? "default") : [];
  const old = isEnvelope(oldObject) ? oldObject : undefined;
  return answer(uid, validateObject(placed, old, others, check, defaults, hasTemplate));
}

function isEnvelope(value: unknown): value is UnreadObject {
  return (
    isObject(value) &&
    typeof value.kind === "string" &&
    typeof value.apiVersion === "string" &&
    isObject(value.metadata)
  );
}

function answer(uid: string, { allowed, message, warnings }: Validation): AdmissionAnswer {
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: {
      uid,
      allowed,
      ...(warnings.length > 0 && { warnings }),
      ...(message !== undefined && { status: { code: 422, reason: "Invalid", message } }),
    },
  };
}
