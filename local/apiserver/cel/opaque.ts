/** Values of Kubernetes' own CEL types (URL, IP, quantity …), which the evaluator has no place for: a map that says what it is. */
import { type CelMap, type CelValue, celMap, isCelMap } from "@bufbuild/cel";

type Kind = "url" | "ip" | "cidr" | "quantity" | "semver" | "format";

// No JSON name of a Kubernetes object holds a NUL.
const kindKey = "\0kind";
const textKey = "\0text";

/** A value of a type; two are equal where their texts are. */
export function opaque(kind: Kind, text: string): CelMap {
  return celMap(
    new Map([
      [kindKey, kind],
      [textKey, text],
    ]),
  );
}

/** The type of such a value; undefined for any other value. */
export function kindOf(value: CelValue): Kind | undefined {
  if (!isCelMap(value)) return undefined;
  const kind = value.get(kindKey);
  return kind === "url" ||
    kind === "ip" ||
    kind === "cidr" ||
    kind === "quantity" ||
    kind === "semver" ||
    kind === "format"
    ? kind
    : undefined;
}

/** The text of a value of that type. Throws for any other value, as an evaluator does where no overload fits. */
export function textOf(value: CelValue, kind: Kind): string {
  const text = kindOf(value) === kind && isCelMap(value) ? value.get(textKey) : undefined;
  if (typeof text === "string") return text;
  throw new Error("no such overload");
}
