/**
 * A webhook's `matchConditions`: expressions that must all be true for it to be asked.
 *
 * @see k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions
 */
import { type Attributes, authorize } from "../authorization/authorize.ts";
import { compiledOnce } from "../cel/cache.ts";
import { ExpressionError } from "../cel/environment.ts";
import { authorizerValue, type Judge, judgedBy, type Question } from "../cel/functions/authorizer.ts";
import { dynamicValue } from "../cel/values.ts";
import { type JsonObject, listAt, objectAt, textAt } from "../json.ts";
import { forbidden } from "../status.ts";
import type { Store } from "../storage/store.ts";
import type { AdmissionRequest } from "./admission.ts";
import { reviewBody } from "./review.ts";

/**
 * Whether all conditions hold; one that is false says no whatever the others come to.
 *
 * @throws 403 where one cannot be evaluated and `failurePolicy` is not Ignore
 */
export function conditionsHold(store: Store, webhook: JsonObject, request: AdmissionRequest): boolean {
  const conditions = listAt(webhook, "matchConditions");
  if (conditions.length === 0) return true;
  const variables = {
    object: dynamicValue(request.object),
    oldObject: dynamicValue(request.old),
    request: dynamicValue(requestOf(request)),
    authorizer: authorizerValue(requestedBy(request)),
  };
  const faults: string[] = [];
  for (const condition of conditions) {
    const text = textAt(condition, "expression") ?? "";
    try {
      const holds = judgedBy(judgeOf(store, request), () => compiledOnce(text)(variables));
      if (holds === false) return false;
      if (holds !== true) faults.push(`expression '${text}' resulted in error: it is not a boolean`);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      faults.push(`expression '${text}' resulted in error: ${error.message}`);
    }
  }
  if (faults.length === 0) return true;
  if (webhook.failurePolicy === "Ignore") return false;
  const { resource, name } = request.target;
  const said = faults.length === 1 ? (faults[0] ?? "") : `[${faults.join(", ")}]`;
  throw forbidden(resource, request.object?.metadata.name ?? name ?? "", said);
}

/** The request as a review tells it; what it leaves out is empty here. */
function requestOf(request: AdmissionRequest): JsonObject {
  const {
    uid: _uid,
    object: _object,
    oldObject: _old,
    ...told
  } = objectAt(reviewBody("", request), "request");
  return { subResource: "", requestSubResource: "", namespace: "", ...told };
}

function requestedBy({ target, object }: AdmissionRequest): Omit<Question, "verb"> {
  const { resource, namespace, name, subresource } = target;
  return {
    group: resource.group,
    resource: resource.plural,
    ...(subresource === undefined ? {} : { subresource }),
    ...(namespace === undefined ? {} : { namespace }),
    name: object?.metadata.name ?? name ?? "",
  };
}

function judgeOf(store: Store, { user }: AdmissionRequest): Judge {
  return ({ verb, path, serviceAccount, group = "", resource = "", ...rest }) => {
    const asked: Attributes =
      path === undefined
        ? {
            kind: "resource",
            verb,
            group,
            resource,
            subresource: rest.subresource,
            namespace: rest.namespace,
            name: rest.name,
          }
        : { kind: "path", verb, path };
    return authorize(store, serviceAccount === undefined ? user : accountUser(serviceAccount), asked);
  };
}

function accountUser(account: string) {
  const [namespace = "", name = ""] = account.split("/");
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
  return { username: `system:serviceaccount:${namespace}:${name}`, uid: "", groups, extra: {} };
}
