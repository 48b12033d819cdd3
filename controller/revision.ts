import { createHash } from "node:crypto";

/** What a target is to run: `v2:` and the SHA-256 of the canonical JSON of its pod template and tracked configs. */
export type Revision = string;

/** `configmap/<name>` or `secret/<name>` → checksum of its content, as `status.trackedConfigs` holds it. */
export type TrackedConfigs = Readonly<Record<string, string>>;

/**
 * JSON with sorted keys and without nulls, so that two spellings of one value are one text.
 *
 * A null is what an API server writes for "absent" in some versions; an empty object is kept, since it
 * can carry meaning (`emptyDir: {}`).
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== null && field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
  return `{${fields.join(",")}}`;
}

/** Whether {@link canonicalJson} makes one text of both; found without making it. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isParent(a) || !isParent(b)) return (a ?? null) === (b ?? null);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b)) return false;
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  // Without lists of the names: each look at each canary compares some objects.
  let more = 0;
  for (const name in b) if (isTold(b, name)) more++;
  for (const name in a) {
    if (!isTold(a, name)) continue;
    if (!isTold(b, name) || !sameJson(a[name], b[name])) return false;
    more--;
  }
  return more === 0;
}

function isTold(object: Record<string, unknown>, name: string): boolean {
  return Object.hasOwn(object, name) && object[name] !== null && object[name] !== undefined;
}

function isParent(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

const digests = new WeakMap<object, string>();

/** A short text that is the same for equal values. Computed once per object: what comes from a watch is never changed. */
export function digestOf(value: object): string {
  const known = digests.get(value);
  if (known !== undefined) return known;
  const digest = createHash("sha256").update(canonicalJson(value)).digest("base64");
  digests.set(value, digest);
  return digest;
}

/**
 * The revision of a pod template (or of where a Service leads) together with the configs that it reads.
 *
 * Without tracked configs it is the hash of the template alone. Flagger's own hash cannot be computed
 * outside Go (it hashes a dump of Go structs), so a status without `v2:` is adopted, never compared.
 */
export function revisionOf(template: object, configs: TrackedConfigs): Revision {
  const templateHash = sha256(canonicalJson(template));
  if (Object.keys(configs).length === 0) return `v2:${templateHash}`;
  return `v2:${sha256(canonicalJson({ template: templateHash, configs }))}`;
}

/** Whether `hash` was made by {@link revisionOf}; Flagger's are ten letters and digits. */
export function isRevision(hash: string | undefined): hash is Revision {
  return hash?.startsWith("v2:") === true;
}

/** A short form for names of objects and texts for people: the first ten hex digits. */
export function shortRevision(revision: Revision): string {
  return revision.replace(/^v2:/, "").slice(0, 10);
}

/**
 * The primary's `flagger-id` annotation for a revision: shaped like the UUID that Flagger writes, but the
 * same for the same revision, so that a promotion repeated after a crash does not roll the pods again and
 * a restored template is the very one whose ReplicaSet still stands.
 */
export function promotionId(revision: Revision): string {
  const known = promotionIds.get(revision);
  if (known !== undefined) return known;
  const hex = sha256(`flagger-id ${revision}`);
  const id = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
  if (promotionIds.size >= mostPromotionIds) promotionIds.clear();
  promotionIds.set(revision, id);
  return id;
}

/** Each look at a canary compares some. */
const promotionIds = new Map<Revision, string>();
const mostPromotionIds = 5000;

/**
 * The generation fence, `<uid>/<generation>`: as long as a target shows the stored one, its spec has not
 * been edited, whatever hash a newer program or API server makes of it.
 */
export function fenceOf(meta: { readonly uid?: string; readonly generation?: number | string }): string {
  return `${meta.uid ?? ""}/${meta.generation ?? 0}`;
}

/** Flagger's `checksum` in webhook payloads: names the revision and its configs. */
export function checksumOf(revision: Revision): string {
  return shortRevision(revision);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
