/** Kinds of which the API server itself asks little. */
import { forbiddenField, invalidValue, required } from "../../field-errors.ts";
import {
  ensureObject,
  equalJson,
  isObject,
  listAt,
  numberAt,
  objectAt,
  setDefault,
  setField,
  textAt,
} from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

/** Kinds that are stored as they come, without metadata.generation. */
export const plainStrategy: Strategy = {
  prepareForUpdate(object, old) {
    if (old.status !== undefined) object.status = old.status;
  },
  countsGeneration: false,
};

export const namespaceStrategy: Strategy = {
  setDefaults(namespace) {
    // Set by name before anything else, as a default of the kind.
    if (namespace.metadata.name === "") return;
    const labels = { ...namespace.metadata.labels };
    setField(labels, "kubernetes.io/metadata.name", namespace.metadata.name);
    namespace.metadata.labels = labels;
    const status = ensureObject(namespace, "status");
    if ((textAt(status, "phase") ?? "") === "") status.phase = "Active";
  },
  prepareForCreate(namespace) {
    const finalizers = listAt(namespace, "spec", "finalizers").map(String);
    namespace.spec = {
      finalizers: finalizers.includes("kubernetes") ? finalizers : [...finalizers, "kubernetes"],
    };
    namespace.status = { phase: "Active" };
  },
  prepareForUpdate(namespace, old) {
    namespace.spec = old.spec;
    namespace.status = old.status;
  },
  answersDeleted: true,
  countsGeneration: false,
  deletesOneByOne: true,
};

export const nodeStrategy: Strategy = {
  prepareForUpdate(node, old) {
    node.status = old.status;
  },
  countsGeneration: false,
};

export const serviceAccountStrategy: Strategy = { ...plainStrategy, answersDeleted: true };

export const leaseStrategy: Strategy = {
  ...plainStrategy,
  createsOnUpdate: true,
  updatesByVersionOnly: true,
  validate(lease) {
    const seconds = numberAt(lease, "spec", "leaseDurationSeconds");
    return seconds !== undefined && seconds <= 0
      ? [invalidValue("spec.leaseDurationSeconds", seconds, "must be greater than 0")]
      : [];
  },
};

export const runtimeClassStrategy: Strategy = {
  ...plainStrategy,
  createsOnUpdate: true,
  updatesByVersionOnly: true,
  validate: (object, old) => [
    ...((textAt(object, "handler") ?? "") === "" ? [invalidValue("handler", "", "must not be empty")] : []),
    ...(old !== undefined && old.handler !== object.handler
      ? [invalidValue("handler", object.handler, "field is immutable")]
      : []),
  ],
};

export const priorityClassStrategy: Strategy = {
  setDefaults: (object) => setDefault(object, "preemptionPolicy", "PreemptLowerPriority"),
  validate: (object, old) =>
    old !== undefined && old.value !== object.value
      ? [forbiddenField("value", "may not be changed in an update.")]
      : [],
  answersDeleted: false,
};

export const eventStrategy: Strategy = {
  countsGeneration: false,
  createsOnUpdate: true,
  validate(event) {
    const { namespace } = event.metadata;
    const involved =
      textAt(event, "involvedObject", "namespace") ?? textAt(event, "regarding", "namespace") ?? "";
    const right = involved === "" ? namespace === "default" : involved === namespace;
    const field = event.involvedObject === undefined ? "regarding.namespace" : "involvedObject.namespace";
    return right
      ? []
      : [
          invalidValue(
            field.replace("regarding", "involvedObject"),
            involved,
            "does not match event.namespace",
          ),
        ];
  },
};

function validateImmutable(
  object: ApiObject,
  old: ApiObject | undefined,
  fields: readonly string[],
): FieldError[] {
  if (old?.immutable !== true) return [];
  return [
    ...(object.immutable === true
      ? []
      : [forbiddenField("immutable", "field is immutable when `immutable` is set")]),
    ...fields
      .filter((field) => !equalJson(object[field], old[field]))
      .map((field) => forbiddenField(field, "field is immutable when `immutable` is set")),
  ];
}

const dataKey = /^[-._a-zA-Z0-9]+$/;
const mostBytes = 1_048_576;

/** Faults of the keys and the size of a ConfigMap's or Secret's data. */
function validateData(
  object: ApiObject,
  fields: readonly string[],
  size: (value: string) => number,
): FieldError[] {
  const faults: FieldError[] = [];
  let total = 0;
  for (const field of fields) {
    for (const [key, value] of Object.entries(objectAt(object, field))) {
      total += size(String(value));
      const at = `${field}[${key}]`;
      if (key.length > 253) faults.push(invalidValue(at, key, "must be no more than 253 characters"));
      if (!dataKey.test(key)) {
        faults.push(
          invalidValue(
            at,
            key,
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
          ),
        );
      } else if (key === "." || key === "..") faults.push(invalidValue(at, key, `must not be '${key}'`));
    }
  }
  if (total > mostBytes)
    faults.push({
      type: "FieldValueTooLong",
      field: "[]",
      message: `Too long: may not be more than ${mostBytes} bytes`,
    });
  return faults;
}

export const configMapStrategy: Strategy = {
  validate: (object, old) => [
    ...validateData(object, ["data", "binaryData"], (value) => value.length),
    ...validateImmutable(object, old, ["data", "binaryData"]),
  ],
  countsGeneration: false,
};

/** Keys that a secret of a type must have. */
const secretKeys: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
};

export const secretStrategy: Strategy = {
  setDefaults(secret) {
    setDefault(secret, "type", "Opaque");
    if (!isObject(secret.stringData)) return;
    const data = ensureObject(secret, "data");
    for (const [name, text] of Object.entries(secret.stringData)) {
      setField(data, name, Buffer.from(String(text)).toString("base64"));
    }
    delete secret.stringData;
  },
  validate: (secret, old) => [
    ...validateData(secret, ["data"], (value) => Math.floor((value.length * 3) / 4)),
    ...(secretKeys[textAt(secret, "type") ?? ""] ?? [])
      .filter((key) => objectAt(secret, "data")[key] === undefined)
      .map((key) => required(`data[${key}]`)),
    ...(old !== undefined && old.type !== secret.type
      ? [invalidValue("type", secret.type, "field is immutable")]
      : []),
    ...validateImmutable(secret, old, ["data"]),
  ],
  countsGeneration: false,
};
