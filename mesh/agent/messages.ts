/**
 * The few protobuf messages that an agent writes and reads, field by field: the generated ones would cost it 30 MB.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/**
 * istio.v1.auth.IstioCertificateRequest.
 *
 * @param lifetime milliseconds
 */
export function writeCertificateCall(csr: string, lifetime: number): Uint8Array {
  const seconds = BigInt(Math.round(lifetime / 1000));
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(csr)
    .tag(3, WireType.Varint)
    .int64(seconds)
    .finish();
}

/** istio.v1.auth.IstioCertificateResponse.cert_chain: PEM, leaf first. */
export function readCertificateAnswer(bytes: Uint8Array): string[] {
  const chain: string[] = [];
  readFields(bytes, { 1: (reader) => chain.push(reader.string()) });
  return chain;
}

/** grpc.health.v1.HealthCheckRequest. */
export function writeHealthCall(service: string): Uint8Array {
  return new BinaryWriter().tag(1, WireType.LengthDelimited).string(service).finish();
}

/** grpc.health.v1.HealthCheckResponse: whether the status is SERVING. */
export function readHealthAnswer(bytes: Uint8Array): boolean {
  let status = 0;
  readFields(bytes, { 1: (reader) => (status = reader.int32()) });
  return status === 1;
}

/** What an SDS request says, delta or state of the world. */
export interface SecretRequest {
  /** Names of a state-of-the-world request: the whole subscription. */
  readonly names: readonly string[];
  /** Names that a delta request adds and removes. */
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly nonce: string;
  /** Envoy's words where it refused a secret. */
  readonly error?: string;
}

/** envoy.service.discovery.v3.DeltaDiscoveryRequest. */
export function readDeltaRequest(bytes: Uint8Array): SecretRequest {
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  let nonce = "";
  let error: string | undefined;
  readFields(bytes, {
    3: (reader) => subscribe.push(reader.string()),
    4: (reader) => unsubscribe.push(reader.string()),
    6: (reader) => (nonce = reader.string()),
    7: (reader) => (error = readStatusMessage(reader.bytes())),
  });
  return { names: [], subscribe, unsubscribe, nonce, ...(error === undefined ? {} : { error }) };
}

/** envoy.service.discovery.v3.DiscoveryRequest. */
export function readStateRequest(bytes: Uint8Array): SecretRequest {
  const names: string[] = [];
  let nonce = "";
  let error: string | undefined;
  readFields(bytes, {
    3: (reader) => names.push(reader.string()),
    5: (reader) => (nonce = reader.string()),
    6: (reader) => (error = readStatusMessage(reader.bytes())),
  });
  return { names, subscribe: [], unsubscribe: [], nonce, ...(error === undefined ? {} : { error }) };
}

/** google.rpc.Status.message. */
function readStatusMessage(bytes: Uint8Array): string {
  let message = "";
  readFields(bytes, { 2: (reader) => (message = reader.string()) });
  return message;
}

/** A named secret, encoded, with the version that tells whether Envoy has it. */
export interface NamedSecret {
  readonly name: string;
  readonly version: string;
  /** envoy.extensions.transport_sockets.tls.v3.Secret */
  readonly secret: Uint8Array;
}

const secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/** envoy.service.discovery.v3.DeltaDiscoveryResponse. */
export function writeDeltaResponse(secrets: readonly NamedSecret[], nonce: string): Uint8Array {
  const writer = new BinaryWriter();
  for (const { name, version, secret } of secrets) {
    writer.tag(2, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(version);
    writer.tag(2, WireType.LengthDelimited).bytes(any(secret));
    writer.tag(3, WireType.LengthDelimited).string(name).join();
  }
  return writer
    .tag(4, WireType.LengthDelimited)
    .string(secretType)
    .tag(5, WireType.LengthDelimited)
    .string(nonce)
    .finish();
}

/** envoy.service.discovery.v3.DiscoveryResponse. */
export function writeStateResponse(secrets: readonly NamedSecret[], nonce: string): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(secrets.map(({ version }) => version).join("."));
  for (const { secret } of secrets) writer.tag(2, WireType.LengthDelimited).bytes(any(secret));
  return writer
    .tag(4, WireType.LengthDelimited)
    .string(secretType)
    .tag(5, WireType.LengthDelimited)
    .string(nonce)
    .finish();
}

/** A Secret with TlsCertificate: chain and key, PEM, inline. */
export function writeTlsCertificate(name: string, chain: string, key: string): Uint8Array {
  const certificate = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .bytes(inline(chain))
    .tag(2, WireType.LengthDelimited)
    .bytes(inline(key))
    .finish();
  return secretOf(name, 2, certificate);
}

/** A Secret with CertificateValidationContext: the roots, PEM, inline. */
export function writeTrustedRoots(name: string, roots: string): Uint8Array {
  return secretOf(name, 4, new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(inline(roots)).finish());
}

function secretOf(name: string, field: number, content: Uint8Array): Uint8Array {
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(name)
    .tag(field, WireType.LengthDelimited)
    .bytes(content)
    .finish();
}

/** envoy.config.core.v3.DataSource.inline_bytes */
function inline(text: string): Uint8Array {
  return new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(Buffer.from(text)).finish();
}

function any(secret: Uint8Array): Uint8Array {
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(secretType)
    .tag(2, WireType.LengthDelimited)
    .bytes(secret)
    .finish();
}

function readFields(
  bytes: Uint8Array,
  fields: Readonly<Record<number, (reader: BinaryReader) => unknown>>,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const read = fields[number];
    if (read) read(reader);
    else reader.skip(wireType, number);
  }
}
