import { groupVersion } from "../resources/resource.ts";
import type { AdmissionRequest } from "./admission.ts";

/** The `admission.k8s.io/v1` AdmissionReview that a webhook gets. */
export function reviewBody(uid: string, request: AdmissionRequest): object {
  const { target, operation, user, object, old, dryRun } = request;
  const { resource, version, subresource } = target;
  const kind = { group: resource.group, version: version.name, kind: resource.kind };
  const names = { group: resource.group, version: version.name, resource: resource.plural };
  const subject = object ?? old;
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid,
      kind,
      resource: names,
      ...(subresource === undefined ? {} : { subResource: subresource, requestSubResource: subresource }),
      requestKind: kind,
      requestResource: names,
      name: subject?.metadata.name ?? target.name ?? "",
      ...(resource.namespaced ? { namespace: subject?.metadata.namespace ?? target.namespace } : {}),
      operation,
      userInfo: user,
      object: object ?? null,
      oldObject: old ?? null,
      dryRun,
      options: {
        ...request.options,
        kind: `${operation[0]}${operation.slice(1).toLowerCase()}Options`,
        apiVersion: groupVersion("meta.k8s.io", "v1"),
      },
    },
  };
}
