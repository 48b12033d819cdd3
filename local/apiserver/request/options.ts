/** The options of a request's query, checked as Kubernetes checks its `CreateOptions`, `PatchOptions` and so on. */

import type { FieldValidation } from "../context.ts";
import { forbiddenField, notSupported, required, tooLong } from "../field-errors.ts";
import type { JsonObject } from "../json.ts";
import { badRequest, type FieldError, invalid } from "../status.ts";

export type OptionsKind =
  | "CreateOptions"
  | "UpdateOptions"
  | "PatchOptions"
  | "DeleteOptions"
  | "ListOptions";

/** Throws 422 naming the options where there are faults. */
export function refuseOptions(kind: OptionsKind, faults: readonly FieldError[]): void {
  if (faults.length > 0) throw invalid({ group: "meta.k8s.io", kind }, "", faults);
}

const validations: readonly string[] = ["", "Ignore", "Strict", "Warn"];

/**
 * Reads `dryRun`, `fieldManager` and `fieldValidation`, which all writes have, and what PATCH adds.
 *
 * @param apply whether it is a server-side apply; undefined where it is no patch
 * @throws 422 where a value is not allowed
 */
export function readWriteOptions(
  query: URLSearchParams,
  kind: OptionsKind,
  apply?: boolean,
): {
  readonly dryRun: boolean;
  readonly fieldManager: string | undefined;
  readonly fieldValidation: FieldValidation;
  readonly given: JsonObject;
} {
  const manager = query.get("fieldManager") ?? "";
  const dryRun = query.getAll("dryRun").filter((value) => value !== "");
  const validation = query.get("fieldValidation") ?? "";
  const faults: FieldError[] = [];
  if (apply === true && manager === "") faults.push(required("fieldManager", "is required for apply patch"));
  if (apply === false && query.has("force"))
    faults.push(forbiddenField("force", "may not be specified for non-apply patch"));
  if (Buffer.byteLength(manager) > 128) faults.push(tooLong("fieldManager", 128));
  if (dryRun.some((value) => value !== "All")) faults.push(notSupported("dryRun", dryRun, ["All"]));
  if (!validations.includes(validation))
    faults.push(notSupported("fieldValidation", validation, validations));
  refuseOptions(kind, faults);
  return {
    dryRun: dryRun.length > 0,
    fieldManager: manager === "" ? undefined : manager,
    fieldValidation: isFieldValidation(validation) ? validation : "Warn",
    given: {
      ...(dryRun.length > 0 ? { dryRun } : {}),
      ...(manager === "" ? {} : { fieldManager: manager }),
      ...(validation === "" ? {} : { fieldValidation: validation }),
    },
  };
}

function isFieldValidation(text: string): text is FieldValidation {
  return text === "Ignore" || text === "Warn" || text === "Strict";
}

const matches: readonly string[] = ["Exact", "NotOlderThan", ""];

/**
 * Checks `resourceVersion`, `resourceVersionMatch` and `sendInitialEvents` of a list or a watch.
 *
 * @see k8s.io/apimachinery/pkg/apis/meta/internalversion/validation
 */
export function checkListOptions(query: URLSearchParams, watch: boolean): void {
  const version = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch") ?? "";
  const initial = query.get("sendInitialEvents");
  const faults: FieldError[] = [];
  const refuse = (field: string, why: string) => faults.push(forbiddenField(field, why));
  if (watch && initial !== null) {
    if (match !== "NotOlderThan")
      refuse(
        "resourceVersionMatch",
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
      );
    if (match !== "NotOlderThan" && match !== "")
      faults.push(notSupported("resourceVersionMatch", match, ["NotOlderThan"]));
  } else if (watch && match !== "") {
    refuse(
      "resourceVersionMatch",
      "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    );
  } else {
    if (initial !== null) refuse("sendInitialEvents", "sendInitialEvents is forbidden for list");
    if (match !== "") {
      if (query.has("continue"))
        refuse("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
      else if (version === "")
        refuse(
          "resourceVersionMatch",
          "resourceVersionMatch is forbidden unless resourceVersion is provided",
        );
      else if (match === "Exact" && version === "0")
        refuse("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
      if (!matches.includes(match)) faults.push(notSupported("resourceVersionMatch", match, matches));
    }
  }
  refuseOptions("ListOptions", faults);
}

/** A whole number of the query, as Go parses it; 0 where there is none. Throws 400. */
export function readInteger(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? "";
  if (text === "") return 0;
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** `text` as a resourceVersion; throws what `refusal` makes of Go's words where it is none. */
export function readVersion(text: string, refusal: (why: string) => Error): number {
  if (text === "") return 0;
  if (/^\d+$/.test(text)) return Number(text);
  throw refusal(
    `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}
