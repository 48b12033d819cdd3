import type { AuthorizationPolicy } from "../../api/kinds.ts";
import type { Predicate } from "../model.ts";
import type { CompileField, Field } from "./field.ts";
import type { Read } from "./source.ts";
import { textMatch } from "./text.ts";

type Rules = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["rules"]>;
type Operation = NonNullable<NonNullable<Rules[number]["to"]>[number]["operation"]>;

export const readPort: Read = (value) => {
  const port = Number(value);
  return /^\d+$/.test(value) && port <= 65_535 ? { kind: "destination-port", port } : undefined;
};

/** Whether a path is a template, as Istio tells them: `{*}` or `{**}` somewhere. */
export function isPathTemplate(path: string): boolean {
  return path.includes("{*}") || path.includes("{**}");
}

/**
 * Whether Envoy can read a template: segments of `{*}`, a last `{**}`, or plain text of characters that may stand in a
 * path as they are; no empty segment but the last.
 */
export function isReadableTemplate(template: string): boolean {
  const segments = template.split("/").slice(1);
  const last = segments.length - 1;
  return (
    template.startsWith("/") &&
    segments.every(
      (segment, index) =>
        segment === "{*}" ||
        (segment === "{**}" && index === last) ||
        (segment === "" ? index === last : /^[A-Za-z0-9\-._~%!$&'()+,;:@=]+$/.test(segment)),
    )
  );
}

const readPath: Read = (value) => {
  if (!isPathTemplate(value)) return { kind: "path", match: textMatch(value) };
  return isReadableTemplate(value) ? { kind: "path-template", template: value } : undefined;
};

const fields: readonly Field<Operation>[] = [
  {
    name: "hosts",
    not: "notHosts",
    read: (value) => ({ kind: "host", match: textMatch(value) }),
    http: true,
  },
  {
    name: "methods",
    not: "notMethods",
    read: (value) => ({ kind: "method", match: textMatch(value) }),
    http: true,
  },
  { name: "paths", not: "notPaths", read: readPath, http: true },
  { name: "ports", not: "notPorts", read: readPort },
];

/** One `to`: all of its fields, any value of each. */
export function compileOperation(operation: Operation, pointer: string, compile: CompileField): Predicate[] {
  return fields.flatMap((field) => compile(operation, field, pointer));
}
