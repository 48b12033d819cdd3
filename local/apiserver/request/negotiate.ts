import { StatusError } from "../status.ts";

/** In which form an answer is wanted. */
export interface Form {
  /** `object`: as stored. `table`: rows for people. `metadata`: PartialObjectMetadata. */
  readonly as: "object" | "table" | "metadata";
  readonly yaml: boolean;
  /** Full media type of the answer. */
  readonly mediaType: string;
}

const plain: Form = { as: "object", yaml: false, mediaType: "application/json" };
const json: readonly string[] = ["application/json", "application/*", "*/*"];

interface Media {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads an Accept header into its media types, in the order given. */
export function readAccept(accept: string | undefined): Media[] {
  return (accept ?? "*/*").split(",").map((item) => {
    const [type = "", ...parameters] = item.split(";").map((part) => part.trim());
    const pairs = parameters.map((parameter): [string, string] => {
      const [name = "", value = ""] = parameter.split("=");
      return [name, value];
    });
    return { type: type.toLowerCase(), parameters: new Map(pairs) };
  });
}

/** The first form of `accept` that this server has. Throws 406 where there is none. */
export function negotiate(accept: string | undefined): Form {
  const asked = readAccept(accept);
  for (const { type, parameters } of asked) {
    const as = parameters.get("as");
    if (json.includes(type)) {
      if (as === undefined) return plain;
      const known = parameters.get("g") === "meta.k8s.io" && parameters.get("v") === "v1";
      if (known && as === "Table") {
        return { as: "table", yaml: false, mediaType: "application/json" };
      }
      if (known && (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList")) {
        return { as: "metadata", yaml: false, mediaType: "application/json" };
      }
    } else if (type === "application/yaml" && as === undefined) {
      return { as: "object", yaml: true, mediaType: "application/yaml" };
    }
  }
  if (asked.some(({ type }) => json.includes(type))) {
    const why = "only the following media types are accepted: application/json, application/yaml";
    throw new StatusError(406, "NotAcceptable", why);
  }
  throw new StatusError(
    406,
    "NotAcceptable",
    "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml",
    {},
  );
}
