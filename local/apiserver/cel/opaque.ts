/** Values of Kubernetes' own CEL types (URL, IP, quantity …), which the evaluator has no place for: a map that says what it is. */
import { type CelInput, type CelMap, type CelValue, celMap, isCelMap } from "@bufbuild/cel";

const kinds = [
  "url",
  "ip",
  "cidr",
  "quantity",
  "semver",
  "format",
  "authorizer",
  "group check",
  "resource check",
  "path check",
  "decision",
] as const;
type Kind = (typeof kinds)[number];

// No JSON name of a Kubernetes object holds a NUL.
const kindKey = "\0kind";
const textKey = "\0text";

/** A value of a type; two are equal where their texts are. `fields` can be selected from it. */
export function opaque(kind: Kind, text: string, fields: Readonly<Record<string, CelMap>> = {}): CelMap {
  return celMap(new Map<string, CelInput>([[kindKey, kind], [textKey, text], ...Object.entries(fields)]));
}

/** The type of such a value; undefined for any other value. */
export function kindOf(value: CelValue): Kind | undefined {
  if (!isCelMap(value)) return undefined;
  const kind = value.get(kindKey);
  return kinds.find((known) => known === kind);
}

/** The text of a value of that type. Throws for any other value, as an evaluator does where no overload fits. */
export function textOf(value: CelValue, kind: Kind): string {
  const text = kindOf(value) === kind && isCelMap(value) ? value.get(textKey) : undefined;
  if (typeof text === "string") return text;
  throw new Error("no such overload");
}
