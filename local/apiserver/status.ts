/** Kubernetes' `Status` answers, with the reasons and messages that kubectl prints and client-go branches on. */

type FieldErrorType =
  | "FieldValueRequired"
  | "FieldValueInvalid"
  | "FieldValueTypeInvalid"
  | "FieldValueNotSupported"
  | "FieldValueForbidden"
  | "FieldValueDuplicate"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "FieldValueNotFound";

/** One fault of an object: `field` in Kubernetes' dotted form, `message` without the field. */
export interface FieldError {
  readonly type: FieldErrorType;
  readonly field: string;
  readonly message: string;
}

/** Which kind of resource an error is about. */
export interface Names {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

interface Details {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly {
    readonly reason?: string;
    readonly message: string;
    readonly field?: string;
  }[];
  readonly retryAfterSeconds?: number;
}

/** A refusal, thrown anywhere below the request handler and answered as a `Status` body. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly code: number;
  readonly reason: string;
  readonly details: Details | undefined;

  constructor(code: number, reason: string, message: string, details?: Details) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The body that goes on the wire. */
  body(): Record<string, unknown> {
    const { reason } = this;
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(reason === "" ? {} : { reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }
}

/** `deployments.apps`, or `pods` for the core group. */
function qualified({ group, plural }: Pick<Names, "group" | "plural">): string {
  return group === "" ? plural : `${plural}.${group}`;
}

function details({ group, plural }: Pick<Names, "group" | "plural">, name: string): Details {
  return { ...(name === "" ? {} : { name }), ...(group === "" ? {} : { group }), kind: plural };
}

export function notFound(names: Pick<Names, "group" | "plural">, name: string): StatusError {
  return new StatusError(404, "NotFound", `${qualified(names)} "${name}" not found`, details(names, name));
}

export function alreadyExists(names: Pick<Names, "group" | "plural">, name: string): StatusError {
  return new StatusError(
    409,
    "AlreadyExists",
    `${qualified(names)} "${name}" already exists`,
    details(names, name),
  );
}

export function conflict(names: Pick<Names, "group" | "plural">, name: string, why: string): StatusError {
  return new StatusError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(names)} "${name}": ${why}`,
    details(names, name),
  );
}

export const modified =
  "the object has been modified; please apply your changes to the latest version and try again";

/** 422 with one cause per fault, as kubectl prints it: `The Canary "x" is invalid: …`. */
export function invalid(
  { group, kind }: Pick<Names, "group" | "kind">,
  name: string,
  faults: readonly FieldError[],
): StatusError {
  const lines = faults.map(({ field, message }) => (field === "" ? message : `${field}: ${message}`));
  // What is said twice is a cause twice, and stands in the message once.
  const said = [...new Set(lines)];
  const text = said.length === 1 ? said[0] : `[${said.join(", ")}]`;
  const qualifiedKind = group === "" ? kind : `${kind}.${group}`;
  return new StatusError(422, "Invalid", `${qualifiedKind} "${name}" is invalid: ${text}`, {
    ...(name === "" ? {} : { name }),
    ...(group === "" ? {} : { group }),
    ...(kind === "" ? {} : { kind }),
    causes: faults.map(({ type, field, message }) => ({ reason: type, message, field })),
  });
}

export function forbidden(names: Pick<Names, "group" | "plural">, name: string, why: string): StatusError {
  const target = name === "" ? qualified(names) : `${qualified(names)} "${name}"`;
  return new StatusError(403, "Forbidden", `${target} is forbidden: ${why}`, details(names, name));
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, "BadRequest", message);
}

/** 500 without a reason, as Kubernetes answers what its handlers did not foresee. */
export function unforeseen(message: string): StatusError {
  return new StatusError(500, "", message);
}

export function unauthorized(): StatusError {
  return new StatusError(401, "Unauthorized", "Unauthorized");
}

export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
    {},
  );
}

/** For a path under a group that is served, whose resource is not. */
export function unknownResource(): StatusError {
  return new StatusError(404, "NotFound", "the server could not find the requested resource", {});
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  return new StatusError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
}

export function tooLarge(limit: number): StatusError {
  return new StatusError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${limit}`);
}

/** 504: the version asked for is yet to come; clients try again. */
export function tooLargeVersion(asked: number, current: number): StatusError {
  const causes = [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }];
  return new StatusError(
    504,
    "Timeout",
    `Timeout: Too large resource version: ${asked}, current: ${current}`,
    { causes, retryAfterSeconds: 1 },
  );
}

/** 410: the version asked for is no longer in the history; the client lists again. */
export function expired(message: string): StatusError {
  return new StatusError(410, "Expired", message);
}

export function internal(message: string): StatusError {
  return new StatusError(500, "InternalError", `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}
