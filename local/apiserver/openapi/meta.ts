/** The schemas that every kind shares, as kubectl looks for them. */

const text = { type: "string", default: "" };
const time = { type: "string", format: "date-time" };

export const objectMetaName = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
export const reference = (name: string): { $ref: string } => ({ $ref: `#/components/schemas/${name}` });

const ownerReferenceName = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference";
const managedFieldsName = "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry";

export const metaSchemas: Readonly<Record<string, object>> = {
  [objectMetaName]: {
    description: "ObjectMeta is metadata that all persisted resources must have.",
    type: "object",
    properties: {
      annotations: { type: "object", additionalProperties: text },
      creationTimestamp: time,
      deletionGracePeriodSeconds: { type: "integer", format: "int64" },
      deletionTimestamp: time,
      finalizers: {
        type: "array",
        items: text,
        "x-kubernetes-list-type": "set",
        "x-kubernetes-patch-strategy": "merge",
      },
      generateName: { type: "string" },
      generation: { type: "integer", format: "int64" },
      labels: { type: "object", additionalProperties: text },
      managedFields: {
        type: "array",
        items: reference(managedFieldsName),
        "x-kubernetes-list-type": "atomic",
      },
      name: { type: "string" },
      namespace: { type: "string" },
      ownerReferences: {
        type: "array",
        items: reference(ownerReferenceName),
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["uid"],
        "x-kubernetes-patch-merge-key": "uid",
        "x-kubernetes-patch-strategy": "merge",
      },
      resourceVersion: { type: "string" },
      selfLink: { type: "string" },
      uid: { type: "string" },
    },
  },
  [ownerReferenceName]: {
    type: "object",
    required: ["apiVersion", "kind", "name", "uid"],
    properties: {
      apiVersion: text,
      blockOwnerDeletion: { type: "boolean" },
      controller: { type: "boolean" },
      kind: text,
      name: text,
      uid: text,
    },
    "x-kubernetes-map-type": "atomic",
  },
  [managedFieldsName]: {
    type: "object",
    properties: {
      apiVersion: { type: "string" },
      fieldsType: { type: "string" },
      fieldsV1: { type: "object" },
      manager: { type: "string" },
      operation: { type: "string" },
      subresource: { type: "string" },
      time,
    },
  },
};
