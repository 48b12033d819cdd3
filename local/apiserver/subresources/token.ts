import { type BoundObject, issuer } from "../authentication/tokens.ts";
import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { invalidValue } from "../field-errors.ts";
import { isObject, type JsonObject, listAt, numberAt, objectAt, textAt } from "../json.ts";
import { emptyStruct } from "../kinds/decode.ts";
import { rootType } from "../kinds/types.ts";
import { emptySet } from "../managed-fields/field-set.ts";
import { structShape } from "../managed-fields/shape.ts";
import { trackUpdate } from "../managed-fields/track.ts";
import { timestamp } from "../object.ts";
import { badRequest, conflict, invalid, notFound } from "../status.ts";

/** Which token is wanted. */
export interface TokenSpec {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Default: this API. */
  readonly audiences?: readonly string[];
  /** Default 3600; at least 600. */
  readonly expirationSeconds?: number;
  /** The token dies with this pod. */
  readonly pod?: { readonly name: string; readonly uid?: string };
}

/** Issues a service account's token. Throws 404 where the account or the pod does not exist, 409 for another pod's uid. */
export async function issueToken(
  context: ApiContext,
  spec: TokenSpec,
): Promise<{ token: string; expirationTimestamp: string }> {
  const account = context.store.get("serviceaccounts", spec.namespace, spec.serviceAccount)?.object;
  if (account === undefined) throw notFound({ group: "", plural: "serviceaccounts" }, spec.serviceAccount);
  const seconds = spec.expirationSeconds ?? 3600;
  if (!Number.isInteger(seconds) || seconds < 600 || seconds > 2 ** 32) {
    const why =
      seconds < 600
        ? "may not specify a duration less than 10 minutes"
        : "may not specify a duration larger than 2^32 seconds";
    throw invalid({ group: "authentication.k8s.io", kind: "TokenRequest" }, "", [
      invalidValue("spec.expirationSeconds", seconds, why),
    ]);
  }
  const bound = spec.pod === undefined ? undefined : boundPod(context, spec.namespace, spec.pod);
  const now = context.now();
  const expiresAt = now + seconds * 1000;
  const token = await context.tokens.sign(
    {
      namespace: spec.namespace,
      serviceAccount: { name: account.metadata.name, uid: account.metadata.uid },
      audiences: spec.audiences === undefined || spec.audiences.length === 0 ? [issuer] : spec.audiences,
      expiresAt,
      ...(bound === undefined ? {} : { bound }),
    },
    now,
  );
  return { token, expirationTimestamp: timestamp(expiresAt) };
}

function boundPod(
  context: ApiContext,
  namespace: string,
  { name, uid }: { name: string; uid?: string },
): BoundObject {
  const pods = { group: "", plural: "pods" };
  const pod = context.store.get("pods", namespace, name)?.object;
  if (pod === undefined) throw notFound(pods, name);
  if (uid !== undefined && uid !== "" && uid !== pod.metadata.uid) {
    throw conflict(
      pods,
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  return { kind: "Pod", name, uid: pod.metadata.uid };
}

const requestType = rootType("authentication.k8s.io", "v1", "TokenRequest");

/** POST serviceaccounts/NAME/token: answers the TokenRequest with its status. */
export async function createTokenRequest(
  context: ApiContext,
  target: Target,
  body: unknown,
  options: WriteOptions,
): Promise<JsonObject> {
  if (!isObject(body)) throw badRequest("a TokenRequest must be an object");
  const { namespace = "", name = "" } = target;
  const spec = { ...objectAt(body, "spec") };
  spec.boundObjectRef ??= null;
  const kind = textAt(spec.boundObjectRef, "kind");
  if (kind !== undefined && kind !== "Pod")
    throw badRequest(`cannot bind token for kind \`${kind}\`: use Pod`);
  const uid = textAt(spec.boundObjectRef, "uid");
  const seconds = numberAt(spec, "expirationSeconds") ?? 3600;
  const audiences = listAt(spec, "audiences").map(String);
  const request: JsonObject = {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace },
    spec: { ...spec, audiences: audiences.length === 0 ? null : audiences, expirationSeconds: seconds },
  };
  if (requestType !== undefined) {
    const empty = { ...emptyStruct(requestType), kind: request.kind, apiVersion: request.apiVersion };
    const shape = structShape(requestType);
    const writer = {
      manager: options.fieldManager,
      apiVersion: "authentication.k8s.io/v1",
      subresource: "token",
      now: context.now(),
    };
    trackUpdate(undefined, request, writer, { shape: () => shape, reset: emptySet(), empty });
  }
  const status = await issueToken(context, {
    namespace,
    serviceAccount: name,
    audiences,
    expirationSeconds: seconds,
    ...(kind === undefined
      ? {}
      : { pod: { name: textAt(spec.boundObjectRef, "name") ?? "", ...(uid === undefined ? {} : { uid }) } }),
  });
  const account = context.store.get("serviceaccounts", namespace, name)?.object;
  return {
    ...request,
    metadata: {
      ...objectAt(request, "metadata"),
      uid: account?.metadata.uid,
      creationTimestamp: timestamp(context.now()),
    },
    spec: { ...objectAt(request, "spec"), audiences: audiences.length === 0 ? [issuer] : audiences },
    status,
  };
}
