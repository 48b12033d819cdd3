/** Kinds of which the API server itself asks little. */
import { forbiddenField, required } from "../../field-errors.ts";
import {
  ensureObject,
  equalJson,
  isObject,
  listAt,
  objectAt,
  setDefault,
  setField,
  textAt,
} from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

/** Kinds that are stored as they come, without metadata.generation. */
export const plainStrategy: Strategy = { countsGeneration: false };

/** Kinds with a status of their own and a generation. */
export const statusStrategy: Strategy = {
  prepareForCreate(object) {
    object.status = {};
  },
  prepareForUpdate(object, old) {
    object.status = old.status;
  },
};

export const namespaceStrategy: Strategy = {
  prepareForCreate(namespace) {
    namespace.spec = { finalizers: ["kubernetes"] };
    namespace.status = { phase: "Active" };
    const labels = namespace.metadata.labels ?? {};
    setField(labels, "kubernetes.io/metadata.name", namespace.metadata.name);
    namespace.metadata.labels = labels;
  },
  prepareForUpdate(namespace, old) {
    namespace.spec = old.spec;
    namespace.status = old.status;
    const labels = namespace.metadata.labels ?? {};
    setField(labels, "kubernetes.io/metadata.name", namespace.metadata.name);
    namespace.metadata.labels = labels;
  },
  answersDeleted: true,
  countsGeneration: false,
};

export const nodeStrategy: Strategy = {
  prepareForUpdate(node, old) {
    node.status = old.status;
  },
  countsGeneration: false,
};

function validateImmutable(
  object: ApiObject,
  old: ApiObject | undefined,
  fields: readonly string[],
): FieldError[] {
  if (old?.immutable !== true) return [];
  return fields
    .filter((field) => !equalJson(object[field], old[field]))
    .map((field) => forbiddenField(field, "field is immutable when `immutable` is set"));
}

export const configMapStrategy: Strategy = {
  validate: (object, old) => validateImmutable(object, old, ["data", "binaryData"]),
  countsGeneration: false,
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
  validate: (object, old) => validateImmutable(object, old, ["data"]),
  countsGeneration: false,
};

export const endpointSliceStrategy: Strategy = {
  setDefaults(slice) {
    for (const port of listAt(slice, "ports")) {
      if (!isObject(port)) continue;
      setDefault(port, "name", "");
      setDefault(port, "protocol", "TCP");
    }
  },
  validate: (slice) => (textAt(slice, "addressType") === undefined ? [required("addressType")] : []),
};

export const autoscalerStrategy: Strategy = {
  ...statusStrategy,
  setDefaults(autoscaler) {
    setDefault(ensureObject(autoscaler, "spec"), "minReplicas", 1);
  },
  prepareForCreate(autoscaler) {
    autoscaler.status = { currentMetrics: null, desiredReplicas: 0 };
  },
  validate: (autoscaler) =>
    objectAt(autoscaler, "spec").maxReplicas === undefined ? [required("spec.maxReplicas")] : [],
};

/** Defaults of a mutating or validating webhook configuration. */
export const webhookConfigurationStrategy: Strategy = {
  setDefaults(configuration) {
    for (const webhook of listAt(configuration, "webhooks")) {
      if (!isObject(webhook)) continue;
      setDefault(webhook, "failurePolicy", "Fail");
      setDefault(webhook, "matchPolicy", "Equivalent");
      setDefault(webhook, "namespaceSelector", {});
      setDefault(webhook, "objectSelector", {});
      setDefault(webhook, "timeoutSeconds", 10);
      if (configuration.kind.startsWith("Mutating")) setDefault(webhook, "reinvocationPolicy", "Never");
      for (const rule of listAt(webhook, "rules")) if (isObject(rule)) setDefault(rule, "scope", "*");
      const service = objectAt(webhook, "clientConfig").service;
      if (isObject(service)) setDefault(service, "port", 443);
    }
  },
  validate: (configuration) =>
    listAt(configuration, "webhooks").flatMap((webhook, index) => {
      const faults: FieldError[] = [];
      const field = `webhooks[${index}]`;
      if ((textAt(webhook, "name") ?? "") === "") faults.push(required(`${field}.name`));
      if (textAt(webhook, "sideEffects") === undefined)
        faults.push(required(`${field}.sideEffects`, "must specify one of None, NoneOnDryRun"));
      const { url, service } = objectAt(webhook, "clientConfig");
      if ((url === undefined) === (service === undefined)) {
        faults.push(required(`${field}.clientConfig`, "exactly one of url or service is required"));
      }
      return faults;
    }),
};
