import { type CanaryDefaults, readCanary } from "../../../api/canary/read.ts";
import {
  AlertProviderKind,
  AuthorizationPolicyKind,
  type Canary,
  CanaryKind,
  DestinationRuleKind,
  MetricTemplateKind,
  PeerAuthenticationKind,
  RequestAuthenticationKind,
  VirtualServiceKind,
} from "../../../api/kinds.ts";
import { readMetricTemplate } from "../../../api/metric-template.ts";
import { hasErrors, read } from "../../../api/read.ts";
import type { Kind, Problem, UnreadObject } from "../../../api/resource.ts";
import { fieldPath } from "../../../api/schema/pointer.ts";
import { findConflicts } from "./conflict.ts";
import { findMissingTemplates } from "./missing-template.ts";

/** What the API server is told: whether the object may be stored, why not, and what the user should know besides. */
export interface Validation {
  readonly allowed: boolean;
  /** Present where it is refused. One line that names the first errors. */
  readonly message?: string;
  readonly warnings: readonly string[];
}

/** The kinds that are validated. The ValidatingWebhookConfiguration lists the same. */
export const validatedKinds: readonly Kind[] = [
  CanaryKind,
  MetricTemplateKind,
  AlertProviderKind,
  VirtualServiceKind,
  DestinationRuleKind,
  PeerAuthenticationKind,
  AuthorizationPolicyKind,
  RequestAuthenticationKind,
];

/** The API server cuts a warning that is longer, and drops those beyond about 4 kB. */
const longestWarning = 256;
/** Errors that one answer names: enough to fix, short enough to read. */
const mostErrors = 10;
const mostWarnings = 16;

/** Whether a MetricTemplate stands in the API server. */
export type HasTemplate = (namespace: string, name: string) => boolean;

/** What another room says of an object of its kinds: all that is wrong with it, its schema among it. */
export type CheckObject = (object: UnreadObject) => readonly Problem[] | undefined;

/**
 * Judges an object that is about to be created (`old` undefined) or replaced. Pure.
 *
 * What is wrong and was already stored is only warned about where the spec did not change, so that labels, finalizers
 * and deletion never hang on it. A missing target is not refused, and a missing MetricTemplate only warned about: they may
 * come later, from the same folder even, and the Canary's status says so.
 *
 * @param others the Canaries that stand in the API server; this object may be among them
 * @param defaults what the controller is set to
 * @param hasTemplate by default there is any
 * @param check asked first; undefined where its kind is none of its own, then the schema alone counts
 */
export function validateObject(
  object: UnreadObject,
  old: UnreadObject | undefined,
  others: readonly Canary[],
  check: CheckObject = () => undefined,
  defaults: CanaryDefaults = {},
  hasTemplate: HasTemplate = () => true,
): Validation {
  const kind = validatedKinds.find(
    (validated) => validated.kind === object.kind && isOfGroup(object, validated),
  );
  if (!kind) return { allowed: true, warnings: [] };
  const problems = problemsOf(kind, object, { old, others, check, defaults, hasTemplate });
  const lenient = object.metadata.deletionTimestamp !== undefined || isSameSpec(object, old);
  const errors = problems.filter((problem) => hasErrors([problem]));
  const warned = lenient ? problems : problems.filter((problem) => !hasErrors([problem]));
  const warnings = warned.slice(0, mostWarnings).map((problem) => cut(word(problem)));
  if (lenient || errors.length === 0) return { allowed: true, warnings };
  return {
    allowed: false,
    message: `${object.kind} \`${nameOf(object)}\`: ${wordAll(errors)}`,
    warnings,
  };
}

interface Surroundings {
  readonly old: UnreadObject | undefined;
  readonly others: readonly Canary[];
  readonly check: CheckObject;
  readonly defaults: CanaryDefaults;
  readonly hasTemplate: HasTemplate;
}

function problemsOf(
  kind: Kind,
  object: UnreadObject,
  { old, others, check, defaults, hasTemplate }: Surroundings,
): readonly Problem[] {
  const named = withName(object);
  if (kind === MetricTemplateKind) return readMetricTemplate(named).problems;
  if (kind !== CanaryKind) return check(named) ?? read(kind, named).problems;
  const { value, problems } = readCanary(named, defaults);
  return value
    ? [...problems, ...findConflicts(value, old, others), ...findMissingTemplates(value, hasTemplate)]
    : problems;
}

/** An object that asks for a generated name has none yet when it is validated. */
function withName(object: UnreadObject): UnreadObject {
  const { name, generateName } = object.metadata;
  return name || !generateName
    ? object
    : { ...object, metadata: { ...object.metadata, name: `${generateName}0` } };
}

function nameOf({ metadata }: UnreadObject): string {
  return metadata.name || `${metadata.generateName ?? ""}...`;
}

function isOfGroup(object: UnreadObject, { group }: Kind): boolean {
  return String(object.apiVersion).startsWith(`${group}/`);
}

function isSameSpec(object: UnreadObject, old: UnreadObject | undefined): boolean {
  return old !== undefined && JSON.stringify(old.spec) === JSON.stringify(object.spec);
}

function wordAll(errors: readonly Problem[]): string {
  const words = errors.slice(0, mostErrors).map(word);
  return (errors.length > mostErrors ? [...words, `and ${errors.length - mostErrors} more`] : words).join(
    "; ",
  );
}

function word({ field, message }: Problem): string {
  const path = fieldPath(field);
  return path === "" ? message : `${path} ${message}`;
}

function cut(text: string): string {
  return text.length > longestWarning ? `${text.slice(0, longestWarning - 3)}...` : text;
}
