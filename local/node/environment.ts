import type { ConfigMap, PersistentVolume, Pod, Secret } from "../../api/core.ts";
import type { Container, EnvironmentVariable } from "./container.ts";
import { expand } from "./expansion.ts";
import { type PodPlace, readField } from "./field-ref.ts";
import { readResource } from "./resource-ref.ts";

/** Reads the pod's namespace; undefined where the object does not exist. */
export interface ObjectLookup {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  /** A PersistentVolumeClaim, with the volume that it is bound to. */
  claim(name: string): { readonly volume?: PersistentVolume } | undefined;
}

/** What a container's manifest asks for and this machine cannot give: `CreateContainerConfigError`. */
export class ContainerConfigError extends Error {
  override readonly name = "ContainerConfigError";
}

export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly place: PodPlace;
  readonly lookup: ObjectLookup;
  /** Set before the manifest's own, which may refer to them and override them. */
  readonly base: ReadonlyMap<string, string>;
}

/**
 * The environment of a container: `base`, then `envFrom`, then `env`, each seeing what stands before it.
 *
 * @throws ContainerConfigError when something that is not optional is missing; the words are the kubelet's
 */
export function buildEnvironment(input: EnvironmentInput): ReadonlyMap<string, string> {
  const { container, base, lookup } = input;
  const variables = new Map(base);
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const entries = configMapRef
      ? entriesOf("configmap", configMapRef, lookup.configMap(configMapRef.name ?? "")?.data)
      : secretRef
        ? entriesOf("secret", secretRef, decoded(lookup.secret(secretRef.name ?? "")?.data))
        : [];
    for (const [key, value] of entries) variables.set(prefix + key, value);
  }
  for (const variable of container.env ?? []) {
    const value = readVariable(variable, input);
    if (value !== undefined)
      variables.set(variable.name, variable.valueFrom ? value : expand(value, variables));
  }
  return variables;
}

function readVariable(
  { name, value, valueFrom }: EnvironmentVariable,
  input: EnvironmentInput,
): string | undefined {
  if (!valueFrom) return value ?? "";
  const { pod, container, place, lookup } = input;
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef) {
    const field = readField(pod, fieldRef.fieldPath, place);
    if (field === undefined) throw unknownReference(name, fieldRef.fieldPath);
    return field;
  }
  if (resourceFieldRef) {
    const quantity = readResource(container, resourceFieldRef.resource, resourceFieldRef.divisor);
    if (quantity === undefined) throw unknownReference(name, resourceFieldRef.resource);
    return quantity;
  }
  if (configMapKeyRef)
    return keyOf("configmap", configMapKeyRef, lookup.configMap(configMapKeyRef.name ?? "")?.data);
  if (secretKeyRef)
    return keyOf("secret", secretKeyRef, decoded(lookup.secret(secretKeyRef.name ?? "")?.data));
  return "";
}

interface Reference {
  readonly name?: string;
  readonly optional?: boolean;
}
type Values = Readonly<Record<string, string>>;

function entriesOf(
  kind: string,
  { name, optional }: Reference,
  values: Values | undefined,
): [string, string][] {
  if (values) return Object.entries(values);
  if (optional) return [];
  throw new ContainerConfigError(`${kind} "${name}" not found`);
}

function keyOf(
  kind: string,
  reference: Reference & { key: string },
  values: Values | undefined,
): string | undefined {
  const { name, key, optional } = reference;
  const found = Object.entries(values ?? {}).find(([candidate]) => candidate === key);
  if (found) return found[1];
  if (optional) return undefined;
  throw new ContainerConfigError(
    values ? `couldn't find key ${key} in ${kind} ${name}` : `${kind} "${name}" not found`,
  );
}

function unknownReference(variable: string, path: string): ContainerConfigError {
  return new ContainerConfigError(`env \`${variable}\` refers to \`${path}\`, which a pod does not have`);
}

/** A Secret's `data` is base64 on the wire. */
function decoded(data: Values | undefined): Values | undefined {
  if (!data) return undefined;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );
}
