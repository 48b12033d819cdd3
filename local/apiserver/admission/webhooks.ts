import { randomUUID } from "node:crypto";
import fastJsonPatch from "fast-json-patch";
import type { Logger } from "../../../lib/log.ts";
import type { ResolveService } from "../context.ts";
import {
  cloneJson,
  equalJson,
  fieldOf,
  isObject,
  type JsonObject,
  listAt,
  numberAt,
  objectAt,
  textAt,
} from "../json.ts";
import { type ApiObject, isApiObject } from "../object.ts";
import type { ResourceVersion } from "../resources/resource.ts";
import { internal, StatusError } from "../status.ts";
import type { Store } from "../storage/store.ts";
import { inVersion, toStorage } from "../verbs/update.ts";
import type { Admission, AdmissionRequest, Rework } from "./admission.ts";
import { callWebhook, type NamedService } from "./call.ts";
import { matchedVersion, selectorsMatch } from "./match.ts";
import { conditionsHold } from "./match-conditions.ts";
import { reviewBody } from "./review.ts";
import { serviceAddress } from "./service-address.ts";

const mutating = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
const validating = "validatingwebhookconfigurations.admissionregistration.k8s.io";

interface Webhook {
  /** Of the configuration and the webhook in it, which tells it from all others. */
  readonly id: string;
  readonly name: string;
  readonly settings: JsonObject;
}

/** A webhook with the request as it wants to see it. */
interface Call {
  readonly webhook: Webhook;
  readonly request: AdmissionRequest;
}

/** The admission webhooks that are configured in the store, called over TLS. */
export function webhookAdmission(
  store: Store,
  resolveService: ResolveService | undefined,
  logger: Logger,
): Admission {
  function configured(resource: string, { target }: AdmissionRequest): Webhook[] {
    // Kubernetes never asks webhooks about webhook configurations: one could lock everybody out.
    if (target.resource.group === "admissionregistration.k8s.io") return [];
    return store.list(resource).flatMap(({ object }) =>
      listAt(object, "webhooks").flatMap((settings): Webhook[] => {
        const name = textAt(settings, "name") ?? "";
        return isObject(settings) ? [{ id: `${object.metadata.name}/${name}`, name, settings }] : [];
      }),
    );
  }

  /** Whether the webhook is to be asked; throws 403 where its conditions cannot be evaluated. */
  function callOf(webhook: Webhook, request: AdmissionRequest): Call | undefined {
    const { settings } = webhook;
    const version = matchedVersion(settings, request);
    if (version === undefined || !selectorsMatch(settings, request, namespaceOf(request))) return undefined;
    const seen = version === request.target.version ? request : converted(request, version);
    return conditionsHold(store, settings, seen) ? { webhook, request: seen } : undefined;
  }

  function namespaceOf({ target, object, old }: AdmissionRequest): ApiObject | undefined {
    const { resource } = target;
    if (resource.group === "" && resource.plural === "namespaces") return object ?? old;
    const name = target.namespace ?? object?.metadata.namespace ?? old?.metadata.namespace;
    return name === undefined ? undefined : store.get("namespaces", undefined, name)?.object;
  }

  /** The webhook's answer; undefined where it failed and `failurePolicy` is Ignore. */
  async function ask(
    { webhook: { name, settings }, request }: Call,
    warnings: string[],
    mutates: boolean,
  ): Promise<JsonObject | undefined> {
    const uid = randomUUID();
    const timeout = (numberAt(settings, "timeoutSeconds") ?? 10) * 1000;
    let response: JsonObject;
    try {
      const clientConfig = objectAt(settings, "clientConfig");
      const answer = await callWebhook(clientConfig, reviewBody(uid, request), timeout, addressOf);
      response = checkedResponse(answer, uid, mutates);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (settings.failurePolicy === "Ignore") {
        logger.warn({ webhook: name, error: why }, "admission webhook failed, ignored by its failurePolicy");
        return undefined;
      }
      throw internal(`failed calling webhook ${JSON.stringify(name)}: ${why}`);
    }
    for (const warning of listAt(response, "warnings")) warnings.push(String(warning));
    if (response.allowed !== true) throw refusal(name, objectAt(response, "status"));
    return response;
  }

  const addressOf = (service: NamedService) => resolveService?.(service) ?? serviceAddress(store, service);

  /** Asks the webhooks one after the other; of a second round those that are due again. */
  async function mutateInTurn(
    request: AdmissionRequest,
    warnings: string[],
    rework: Rework | undefined,
    turns: Turns,
  ): Promise<ApiObject | undefined> {
    let { object } = request;
    for (const webhook of configured(mutating, request)) {
      const call = callOf(webhook, { ...request, object });
      if (call === undefined || (turns.second && !turns.due.has(webhook.id))) continue;
      const patched = patchOf(await ask(call, warnings, true), call);
      if (patched !== undefined && rework !== undefined) {
        const own = converted({ ...call.request, object: patched }, request.target.version).object;
        const next = rework.reread(own ?? patched);
        if (!equalJson(next, object)) recall(turns);
        object = next;
      }
      if (webhook.settings.reinvocationPolicy === "IfNeeded") turns.asked.add(webhook.id);
    }
    return object;
  }

  return {
    async mutate(request, warnings, rework) {
      const turns: Turns = { second: false, changed: false, asked: new Set(), due: new Set() };
      const object = await mutateInTurn(request, warnings, rework, turns);
      if (!turns.changed || object === undefined || rework === undefined) return object;
      const before = cloneJson<unknown>(object);
      rework.readmit(object);
      // What Kubernetes itself has changed is news to all of them.
      if (!equalJson(before, object)) recall(turns);
      turns.second = true;
      return mutateInTurn({ ...request, object }, warnings, rework, turns);
    },
    async validate(request, warnings) {
      const calls = configured(validating, request).flatMap((webhook) => callOf(webhook, request) ?? []);
      await Promise.all(calls.map((call) => ask(call, warnings, false)));
    },
  };
}

/** Which webhooks with `reinvocationPolicy: IfNeeded` have been asked, and which are to be asked again. */
interface Turns {
  second: boolean;
  changed: boolean;
  readonly asked: Set<string>;
  readonly due: Set<string>;
}

/** The object has changed: those that were asked before are due again. */
function recall(turns: Turns): void {
  turns.changed = true;
  for (const id of turns.asked) turns.due.add(id);
  turns.asked.clear();
}

/** The request with its objects in another version of their kind. */
function converted(request: AdmissionRequest, version: ResourceVersion): AdmissionRequest {
  const { target, object, old } = request;
  if (version === target.version) return request;
  const to = { ...target, version };
  const convert = (item: ApiObject | undefined) =>
    item === undefined ? undefined : inVersion(toStorage(item, target), to);
  return { ...request, target: to, object: convert(object), old: convert(old) };
}

/** The `response` of an AdmissionReview. Throws where it is no answer to the review. */
function checkedResponse(answer: unknown, uid: string, mutates: boolean): JsonObject {
  if (!isObject(fieldOf(answer, "response"))) throw new Error(invalidResponse("webhook response was absent"));
  const response = objectAt(answer, "response");
  const fault = responseFault(answer, response, uid, mutates);
  if (fault !== undefined) throw new Error(invalidResponse(fault));
  return response;
}

const invalidResponse = (why: string): string => `received invalid webhook response: ${why}`;

function responseFault(
  answer: unknown,
  response: JsonObject,
  uid: string,
  mutates: boolean,
): string | undefined {
  const given = textAt(response, "uid") ?? "";
  if (given !== uid) return `expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(given)}`;
  const [group = "", version = ""] = (textAt(answer, "apiVersion") ?? "").split("/");
  const kind = textAt(answer, "kind") ?? "";
  if (group !== "admission.k8s.io" || version !== "v1" || kind !== "AdmissionReview")
    return `expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${group}/${version}, Kind=${kind}`;
  const patch = textAt(response, "patch") ?? "";
  const { patchType } = response;
  if (!mutates) {
    if (patch !== "") return "validating webhook may not return response.patch";
    return patchType === undefined ? undefined : "validating webhook may not return response.patchType";
  }
  if (patch !== "" && patchType === undefined)
    return "webhook returned response.patch but not response.patchType";
  return patch === "" && patchType !== undefined
    ? "webhook returned response.patchType but not response.patch"
    : undefined;
}

/** The object as the webhook's patch makes it; undefined where it asks for no change. */
function patchOf(response: JsonObject | undefined, { webhook, request }: Call): ApiObject | undefined {
  const patch = textAt(response, "patch") ?? "";
  if (patch === "") return undefined;
  const name = JSON.stringify(webhook.name);
  if (request.object === undefined)
    throw internal(
      `admission webhook ${name} attempted to modify the object, which is not supported for this operation`,
    );
  try {
    const operations: unknown = JSON.parse(Buffer.from(patch, "base64").toString("utf8"));
    if (!Array.isArray(operations)) throw new Error("it is not an array");
    const patched: unknown = fastJsonPatch.applyPatch(
      cloneJson<unknown>(request.object),
      operations,
      true,
      true,
    ).newDocument;
    if (isApiObject(patched)) return patched;
    throw new Error("it leaves no object");
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw internal(`the patch of admission webhook ${name} does not apply: ${why}`);
  }
}

function refusal(webhook: string, status: JsonObject): StatusError {
  const message = textAt(status, "message") ?? "";
  const reason = textAt(status, "reason") ?? "";
  const why = message !== "" ? `: ${message}` : reason !== "" ? `: ${reason}` : " without explanation";
  const text = `admission webhook ${JSON.stringify(webhook)} denied the request${why}`;
  // A refusal is never told as a success.
  return new StatusError(Math.max(numberAt(status, "code") ?? 0, 400), reason, text);
}
