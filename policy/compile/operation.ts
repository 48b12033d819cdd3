import type { AuthorizationPolicy } from "../../api/kinds.ts";
import type { Predicate } from "../model.ts";
import type { Compile } from "./rule.ts";
import type { Read } from "./source.ts";
import { textMatch } from "./text.ts";

type Rules = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["rules"]>;
type Operation = NonNullable<NonNullable<Rules[number]["to"]>[number]["operation"]>;

export const readPort: Read = (value) => {
  const port = Number(value);
  return /^\d{1,5}$/.test(value) && port >= 1 && port <= 65_535
    ? { kind: "destination-port", port }
    : undefined;
};

/** A path or a template; braces mean a template, and only `{*}` and a last `{**}` are understood. */
const readPath: Read = (value) => {
  if (!/[{}]/.test(value)) return { kind: "path", match: textMatch(value) };
  const segments = value.split("/").slice(1);
  const understood = segments.every(
    (segment, index) =>
      segment === "{*}" || (segment === "{**}" && index === segments.length - 1) || !/[{}*]/.test(segment),
  );
  return value.startsWith("/") && understood ? { kind: "path-template", template: value } : undefined;
};

const fields: readonly {
  readonly name: keyof Operation;
  readonly not: keyof Operation;
  readonly read: Read;
  readonly http?: true;
}[] = [
  {
    name: "hosts",
    not: "notHosts",
    read: (value) => ({ kind: "host", match: textMatch(value) }),
    http: true,
  },
  { name: "ports", not: "notPorts", read: readPort },
  {
    name: "methods",
    not: "notMethods",
    read: (value) => ({ kind: "method", match: textMatch(value) }),
    http: true,
  },
  { name: "paths", not: "notPaths", read: readPath, http: true },
];

/** One `to`: all of its fields, any value of each. */
export function compileOperation(operation: Operation, pointer: string, compile: Compile): Predicate {
  return compile.fields(operation, fields, pointer);
}
