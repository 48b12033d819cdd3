import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Pod } from "../../api/core.ts";
import type { Logger } from "../../lib/log.ts";
import type { InjectionConfig } from "./inject/config.ts";
import { inject } from "./inject/inject.ts";
import type { AdmissionAnswer, AdmissionReview } from "./validate/review.ts";

export interface AdmissionOptions {
  readonly host: string;
  readonly port: number;
  /** PEM. Read again each minute: it is renewed while the server runs. */
  readonly certificate: () => { readonly cert: string; readonly key: string };
  readonly injection: InjectionConfig;
  /** undefined where they are not known (yet): the API server's own matching then decides. */
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
  readonly namespaceAnnotations: (namespace: string) => Readonly<Record<string, string>> | undefined;
  /** Answers `/validate`. */
  readonly validate: (review: AdmissionReview) => AdmissionAnswer;
  readonly logger: Logger;
}

/** An object may have 1.5 MB in etcd's JSON, and a review holds the old one too. */
const largestBody = 8 * 1024 * 1024;
const certificateCheckEvery = 60_000;

/**
 * Serves the admission webhooks over HTTPS: `/inject` (mutating) and `/validate`.
 *
 * @returns the port that is bound, and what stops it
 */
export async function serveAdmission(
  options: AdmissionOptions,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const { certificate, host, port, logger } = options;
  let current = certificate();
  const server = createServer({ ...current, minVersion: "TLSv1.2" }, (request, response) => {
    answer(options, request).then(
      ({ status, body }) => write(response, status, body),
      (error: unknown) => {
        logger.error({ err: error, path: request.url }, "admission review could not be answered");
        write(response, 500, { message: "the review could not be answered" });
      },
    );
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.on("tlsClientError", (error) => logger.debug({ err: error }, "webhook client failed in TLS"));
  const refresh = setInterval(() => {
    const next = certificate();
    if (next.cert === current.cert) return;
    current = next;
    server.setSecureContext(next);
  }, certificateCheckEvery);
  refresh.unref();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: () => {
      clearInterval(refresh);
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

interface Reply {
  readonly status: number;
  readonly body: object;
}

function write(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function answer(options: AdmissionOptions, request: IncomingMessage): Promise<Reply> {
  const path = request.url?.split("?", 1)[0] ?? "/";
  const injects = path === "/inject" || path.startsWith("/inject/");
  if (!injects && path !== "/validate") return { status: 404, body: { message: "no such webhook" } };
  if (request.method !== "POST") return { status: 405, body: { message: "use POST" } };
  const text = await readBody(request);
  if (text === undefined)
    return { status: 413, body: { message: `the review is longer than ${largestBody} bytes` } };
  const review = readReview(text);
  if (!review)
    return { status: 400, body: { message: "the body is not an AdmissionReview of admission.k8s.io/v1" } };
  return { status: 200, body: injects ? answerInjection(review, options) : options.validate(review) };
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > largestBody) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function readReview(text: string): AdmissionReview | undefined {
  try {
    const review = JSON.parse(text) as Partial<AdmissionReview> | null;
    const valid = review?.apiVersion === "admission.k8s.io/v1" && typeof review.request?.uid === "string";
    return valid ? (review as AdmissionReview) : undefined;
  } catch {
    return undefined;
  }
}

/** Turns what {@link inject} says into an AdmissionReview with `patchType: JSONPatch`. Anything but the creation of a pod is let through. */
function answerInjection(
  { request }: AdmissionReview,
  { injection, namespaceLabels, namespaceAnnotations, logger }: AdmissionOptions,
): object {
  const { uid, operation, object, subResource } = request;
  const envelope = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" } as const;
  if (operation !== "CREATE" || subResource || !isPod(object))
    return { ...envelope, response: { uid, allowed: true } };
  const namespace = request.namespace ?? object.metadata.namespace ?? "default";
  const result = inject(
    object,
    namespace,
    namespaceLabels(namespace),
    injection,
    namespaceAnnotations(namespace),
  );
  switch (result.kind) {
    case "unchanged":
      return { ...envelope, response: { uid, allowed: true } };
    case "refused":
      return {
        ...envelope,
        response: { uid, allowed: false, status: { code: 422, reason: "Invalid", message: result.message } },
      };
    case "patch": {
      logger.debug(
        { namespace, pod: object.metadata.name ?? object.metadata.generateName },
        "sidecar injected",
      );
      const patch = Buffer.from(JSON.stringify(result.operations)).toString("base64");
      const { warnings } = result;
      return {
        ...envelope,
        response: {
          uid,
          allowed: true,
          patchType: "JSONPatch",
          patch,
          ...(warnings.length > 0 ? { warnings } : {}),
        },
      };
    }
  }
}

function isPod(object: unknown): object is Pod {
  if (typeof object !== "object" || object === null || !("kind" in object) || !("metadata" in object))
    return false;
  return object.kind === "Pod" && typeof object.metadata === "object" && object.metadata !== null;
}
