import { create, fromBinary, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { DataSource } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import { SecretSchema } from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { readableResource } from "../build/readable.ts";
import type { Resource } from "../build/resource.ts";

/** What Envoy itself shows in place of what is secret. */
const redacted = "[redacted]";

/**
 * A resource as Envoy's own JSON, private keys and passwords left out: certificates and roots are public.
 *
 * @see envoy.extensions.transport_sockets.tls.v3.Secret; Envoy's /config_dump hides the same fields
 */
export function redactedResource(resource: Resource): JsonValue {
  if (resource.type !== "secret") return readableResource(resource);
  const { typeUrl, value } = fromBinary(AnySchema, resource.any);
  const secret = fromBinary(SecretSchema, value);
  const { type } = secret;
  if (type.case === "tlsCertificate") {
    const { privateKey, password, pkcs12 } = type.value;
    if (privateKey) type.value.privateKey = hide(privateKey);
    if (password) type.value.password = hide(password);
    if (pkcs12) type.value.pkcs12 = hide(pkcs12);
  } else if (type.case === "sessionTicketKeys") type.value.keys = type.value.keys.map(hide);
  else if (type.case === "genericSecret") secret.type = { case: undefined };
  const any = toBinary(AnySchema, create(AnySchema, { typeUrl, value: toBinary(SecretSchema, secret) }));
  return readableResource({ ...resource, any });
}

/** What stands in the resource itself; the name of a file is no secret. */
function hide(source: DataSource): DataSource {
  const { case: form } = source.specifier;
  if (form === "inlineString") return { ...source, specifier: { case: form, value: redacted } };
  if (form === "inlineBytes")
    return { ...source, specifier: { case: form, value: new TextEncoder().encode(redacted) } };
  return source;
}
