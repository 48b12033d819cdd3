/** The formats that Kubernetes checks; others mean nothing to it, and it warns of them. */
import type { Schema } from "./schema.ts";

const texts = new Set(
  "bsonobjectid uri email hostname ipv4 ipv6 cidr mac uuid uuid3 uuid4 uuid5 isbn isbn10 isbn13 creditcard ssn hexcolor rgbcolor byte password date duration datetime k8sshortname k8slongname".split(
    " ",
  ),
);

/** Formats in a schema and its parts that Kubernetes does not know, each once. */
export function unknownFormats(schema: Schema): Set<string> {
  const { format, properties = {}, items, additionalProperties, allOf = [], anyOf = [], oneOf = [] } = schema;
  const parts = [
    ...Object.values(properties),
    ...(items === undefined ? [] : [items]),
    ...(typeof additionalProperties === "object" ? [additionalProperties] : []),
    ...(schema.not === undefined ? [] : [schema.not]),
    ...allOf,
    ...anyOf,
    ...oneOf,
  ];
  const found = new Set(parts.flatMap((part) => [...unknownFormats(part)]));
  if (format !== undefined && format !== "" && !isKnown(format, schema.type ?? "")) found.add(format);
  return found;
}

function isKnown(format: string, type: string): boolean {
  switch (type) {
    case "":
    case "string":
      return texts.has(format.replaceAll("-", ""));
    case "integer":
      return format === "int32" || format === "int64";
    case "number":
      return format === "float" || format === "double";
    default:
      return false;
  }
}
