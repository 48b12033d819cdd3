/** `quantity()` and `semver()`: numbers that are written as texts, and how they compare. */
import { type CelFunc, CelScalar, type CelValue, celFunc, celMethod } from "@bufbuild/cel";
import { canonicalQuantity, quantityNanos } from "../../kinds/quantity.ts";
import { kindOf, opaque, textOf } from "../opaque.ts";

const { BOOL, DOUBLE, DYN, INT, STRING } = CelScalar;
const nano = 1_000_000_000n;

function nanosOf(value: CelValue): bigint {
  const nanos = quantityNanos(textOf(value, "quantity"));
  if (nanos === undefined) throw new Error("quantities must match the regular expression");
  return nanos;
}

/** A number of 10^-9, as the shortest decimal text. */
function quantityOf(nanos: bigint): CelValue {
  const text = nanos % nano === 0n ? String(nanos / nano) : `${nanos}n`;
  return opaque("quantity", canonicalQuantity(text) ?? text);
}

const version = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** `v1.2` as `1.2.0`, where that is asked for. */
function normalized(text: string): string {
  const [core = "", ...rest] = text.replace(/^v/, "").split(/(?=[-+])/);
  const numbers = core.split(".").map((part) => part.replace(/^0+(?=\d)/, ""));
  while (numbers.length < 3) numbers.push("0");
  return `${numbers.join(".")}${rest.join("")}`;
}

function readVersion(text: string): string {
  if (version.test(text)) return text;
  throw new Error(`invalid semantic version ${JSON.stringify(text)}`);
}

function parts(value: CelValue): { readonly numbers: readonly bigint[]; readonly pre: readonly string[] } {
  const [, major = "", minor = "", patch = "", pre = ""] = version.exec(textOf(value, "semver")) ?? [];
  return { numbers: [major, minor, patch].map(BigInt), pre: pre === "" ? [] : pre.split(".") };
}

/** Semantic Versioning 2.0.0, §11. */
function compareVersions(left: CelValue, right: CelValue): number {
  const [a, b] = [parts(left), parts(right)];
  for (const [index, number] of a.numbers.entries()) {
    const other = b.numbers[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.pre.length === 0 || b.pre.length === 0) return Math.sign(b.pre.length - a.pre.length);
  for (const [index, identifier] of a.pre.entries()) {
    const other = b.pre[index];
    if (other === undefined) return 1;
    if (identifier === other) continue;
    const [own, theirs] = [/^\d+$/.test(identifier), /^\d+$/.test(other)];
    if (own && theirs) return Number(identifier) < Number(other) ? -1 : 1;
    return own !== theirs ? (own ? -1 : 1) : identifier < other ? -1 : 1;
  }
  return a.pre.length < b.pre.length ? -1 : 0;
}

function compare(left: CelValue, right: CelValue): number {
  if (kindOf(left) === "semver") return compareVersions(left, right);
  const [a, b] = [nanosOf(left), nanosOf(right)];
  return a === b ? 0 : a < b ? -1 : 1;
}

const added = (left: CelValue, right: CelValue, sign: bigint): CelValue =>
  quantityOf(nanosOf(left) + sign * (typeof right === "bigint" ? right * nano : nanosOf(right)));

/** @see k8s.io/apiserver/pkg/cel/library/quantity.go and semver.go */
export const numberFunctions: readonly CelFunc[] = [
  celFunc("isQuantity", [STRING], BOOL, (text) => quantityNanos(text) !== undefined),
  celFunc("quantity", [STRING], DYN, (text) => {
    const canonical = canonicalQuantity(text);
    if (canonical === undefined) throw new Error("quantities must match the regular expression");
    return opaque("quantity", canonical);
  }),
  celMethod("sign", DYN, [], INT, function () {
    const nanos = nanosOf(this);
    return nanos === 0n ? 0n : nanos < 0n ? -1n : 1n;
  }),
  celMethod("isInteger", DYN, [], BOOL, function () {
    return nanosOf(this) % nano === 0n;
  }),
  celMethod("asInteger", DYN, [], INT, function () {
    const nanos = nanosOf(this);
    if (nanos % nano !== 0n) throw new Error("cannot convert value to integer");
    return nanos / nano;
  }),
  celMethod("asApproximateFloat", DYN, [], DOUBLE, function () {
    return Number(nanosOf(this)) / 1e9;
  }),
  celMethod("add", DYN, [DYN], DYN, function (other) {
    return added(this, other, 1n);
  }),
  celMethod("sub", DYN, [DYN], DYN, function (other) {
    return added(this, other, -1n);
  }),
  celFunc("isSemver", [STRING], BOOL, (text) => version.test(text)),
  celFunc("isSemver", [STRING, BOOL], BOOL, (text, loose) => version.test(loose ? normalized(text) : text)),
  celFunc("semver", [STRING], DYN, (text) => opaque("semver", readVersion(text))),
  celFunc("semver", [STRING, BOOL], DYN, (text, loose) =>
    opaque("semver", readVersion(loose ? normalized(text) : text)),
  ),
  ...["major", "minor", "patch"].map((name, index) =>
    celMethod(name, DYN, [], INT, function () {
      return parts(this).numbers[index] ?? 0n;
    }),
  ),
  celMethod("compareTo", DYN, [DYN], INT, function (other) {
    return BigInt(compare(this, other));
  }),
  celMethod("isLessThan", DYN, [DYN], BOOL, function (other) {
    return compare(this, other) < 0;
  }),
  celMethod("isGreaterThan", DYN, [DYN], BOOL, function (other) {
    return compare(this, other) > 0;
  }),
];
