/** Regular expressions that find, named formats, and values that may be absent. */
import { type CelFunc, CelScalar, celFunc, celList, celMethod, listType } from "@bufbuild/cel";
import { RE2JS } from "re2js";
import { labelFault, labelKeyFaults, labelValueFault, subdomainFault } from "../../resources/names.ts";
import { formatFault } from "../../schema/formats.ts";
import { opaque, textOf } from "../opaque.ts";

const { BOOL, DYN, INT, STRING } = CelScalar;

function found(text: string, pattern: string, limit: number): string[] {
  const matcher = RE2JS.compile(pattern).matcher(text);
  const all: string[] = [];
  while ((limit < 0 || all.length < limit) && matcher.find()) all.push(matcher.group() ?? "");
  return all;
}

const list = (fault: string | undefined): string[] => (fault === undefined ? [] : [fault]);
const label = (text: string): string[] => list(labelFault("", text)?.message);
const subdomain = (text: string): string[] => list(subdomainFault(text));

/** A name's prefix, as generateName has it, may end in a dash. */
const asPrefix = (check: (text: string) => string[]) => (text: string) => check(text.replace(/-$/, "a"));

const formats = new Map<string, (text: string) => string[]>([
  ["dns1123Label", label],
  ["dns1123Subdomain", subdomain],
  [
    "dns1035Label",
    (text) => (/^[a-z]/.test(text) ? label(text) : ["a DNS-1035 label must start with a letter"]),
  ],
  ["dns1123LabelPrefix", asPrefix(label)],
  ["dns1123SubdomainPrefix", asPrefix(subdomain)],
  ["qualifiedName", labelKeyFaults],
  ["labelValue", (text) => list(labelValueFault(text))],
  ...["uri", "uuid", "byte", "date", "datetime"].map((name): [string, (text: string) => string[]] => [
    name,
    (text) => list(formatFault(text, name === "datetime" ? "date-time" : name)),
  ]),
]);

/** @see k8s.io/apiserver/pkg/cel/library/regex.go and format.go */
export const textFunctions: readonly CelFunc[] = [
  celMethod("find", STRING, [STRING], STRING, function (pattern) {
    return found(this, pattern, 1)[0] ?? "";
  }),
  celMethod("findAll", STRING, [STRING], listType(STRING), function (pattern) {
    return found(this, pattern, -1);
  }),
  celMethod("findAll", STRING, [STRING, INT], listType(STRING), function (pattern, limit) {
    return found(this, pattern, Number(limit));
  }),
  ...[...formats.keys()].map((name) => celFunc(`format.${name}`, [], DYN, () => opaque("format", name))),
  celFunc("format.named", [STRING], DYN, (name) => (formats.has(name) ? opaque("format", name) : null)),
  // Nothing (an absent optional) where the text is right.
  celMethod("validate", DYN, [STRING], DYN, function (text) {
    const faults = formats.get(textOf(this, "format"))?.(text) ?? [];
    return faults.length === 0 ? null : celList(faults);
  }),
  celMethod("hasValue", DYN, [], BOOL, function () {
    return this !== null;
  }),
  celMethod("value", DYN, [], DYN, function () {
    if (this === null) throw new Error("optional.none() dereference");
    return this;
  }),
  celMethod("orValue", DYN, [DYN], DYN, function (other) {
    return this ?? other;
  }),
];
