import { randomUUID } from "node:crypto";
import fastJsonPatch from "fast-json-patch";
import type { Logger } from "../../../lib/log.ts";
import type { ResolveService } from "../context.ts";
import { cloneJson, isObject, type JsonObject, listAt, numberAt, objectAt, textAt } from "../json.ts";
import { type ApiObject, isApiObject } from "../object.ts";
import { badRequest, internal, StatusError } from "../status.ts";
import type { Store } from "../storage/store.ts";
import type { Admission, AdmissionRequest } from "./admission.ts";
import { callWebhook } from "./call.ts";
import { ruleMatches, selectorsMatch } from "./match.ts";
import { reviewBody } from "./review.ts";

const mutating = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
const validating = "validatingwebhookconfigurations.admissionregistration.k8s.io";

interface Webhook {
  readonly name: string;
  readonly settings: JsonObject;
}

/** The admission webhooks that are configured in the store, called over TLS. */
export function webhookAdmission(
  store: Store,
  resolveService: ResolveService | undefined,
  logger: Logger,
): Admission {
  function matching(resource: string, request: AdmissionRequest): Webhook[] {
    // Kubernetes never asks webhooks about webhook configurations: one could lock everybody out.
    if (request.target.resource.group === "admissionregistration.k8s.io") return [];
    return store.list(resource).flatMap(({ object }) =>
      listAt(object, "webhooks").flatMap((settings): Webhook[] => {
        if (!isObject(settings)) return [];
        const namespace = namespaceOf(request);
        const matches =
          listAt(settings, "rules").some((rule) => ruleMatches(rule, request)) &&
          selectorsMatch(settings, request, namespace);
        return matches ? [{ name: textAt(settings, "name") ?? "", settings }] : [];
      }),
    );
  }

  function namespaceOf({ target, object, old }: AdmissionRequest): ApiObject | undefined {
    const { resource } = target;
    if (resource.group === "" && resource.plural === "namespaces") return object ?? old;
    const name = target.namespace ?? object?.metadata.namespace ?? old?.metadata.namespace;
    return name === undefined ? undefined : store.get("namespaces", undefined, name)?.object;
  }

  /** The webhook's answer; undefined where it failed and `failurePolicy` is Ignore. */
  async function ask(
    { name, settings }: Webhook,
    request: AdmissionRequest,
    warnings: string[],
  ): Promise<JsonObject | undefined> {
    const uid = randomUUID();
    const timeout = (numberAt(settings, "timeoutSeconds") ?? 10) * 1000;
    let response: JsonObject;
    try {
      const answer = await callWebhook(
        objectAt(settings, "clientConfig"),
        reviewBody(uid, request),
        timeout,
        resolveService,
      );
      response = objectAt(answer, "response");
      if (response.uid !== uid)
        throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid)}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (settings.failurePolicy === "Ignore") {
        logger.warn({ webhook: name, error: why }, "admission webhook failed, ignored by its failurePolicy");
        return undefined;
      }
      throw internal(`failed calling webhook ${JSON.stringify(name)}: failed to call webhook: ${why}`);
    }
    for (const warning of listAt(response, "warnings")) warnings.push(String(warning));
    if (response.allowed !== true) throw refusal(name, objectAt(response, "status"));
    return response;
  }

  async function mutate(
    request: AdmissionRequest & { readonly object: ApiObject },
    warnings: string[],
  ): Promise<ApiObject>;
  async function mutate(request: AdmissionRequest, warnings: string[]): Promise<ApiObject | undefined>;
  async function mutate(request: AdmissionRequest, warnings: string[]): Promise<ApiObject | undefined> {
    let { object } = request;
    for (const webhook of matching(mutating, request)) {
      const response = await ask(webhook, { ...request, object }, warnings);
      const patch = textAt(response, "patch");
      if (patch !== undefined && object !== undefined) object = applyPatch(object, patch, webhook.name);
    }
    return object;
  }

  return {
    mutate,
    async validate(request, warnings) {
      const webhooks = matching(validating, request);
      await Promise.all(webhooks.map((webhook) => ask(webhook, request, warnings)));
    },
  };
}

function applyPatch(object: ApiObject, patch: string, webhook: string): ApiObject {
  try {
    const operations: unknown = JSON.parse(Buffer.from(patch, "base64").toString("utf8"));
    if (!Array.isArray(operations)) throw new Error("it is not an array");
    const patched: unknown = fastJsonPatch.applyPatch(
      cloneJson<unknown>(object),
      operations,
      true,
      true,
    ).newDocument;
    if (isApiObject(patched)) return patched;
    throw new Error("it leaves no object");
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw internal(`add operation of webhook ${JSON.stringify(webhook)} does not apply: ${why}`);
  }
}

function refusal(webhook: string, status: JsonObject): StatusError {
  const code = numberAt(status, "code");
  const message = textAt(status, "message") ?? "";
  const reason = textAt(status, "reason") ?? "";
  const why = message !== "" ? `: ${message}` : reason !== "" ? `: ${reason}` : " without explanation";
  const text = `admission webhook ${JSON.stringify(webhook)} denied the request${why}`;
  if (code === undefined || code < 400)
    return new StatusError(403, reason === "" ? "Forbidden" : reason, text);
  return code === 400 && reason === "" ? badRequest(text) : new StatusError(code, reason, text);
}
