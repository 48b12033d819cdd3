import { hash } from "node:crypto";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Resource, type ResourceType, typeUrls } from "../build/resource.ts";

/** An encoded answer, one Buffer for all streams that are told the same. */
export interface Response {
  /** Type and content hash, so it is the same for all streams and an ACK names the content. */
  readonly nonce: string;
  readonly bytes: Buffer;
}

/** Bytes of answers kept for reuse: what differs within one push, and some. */
const capacity = 16 * 1024 * 1024;

/**
 * Encodes answers, each once: proxies that hold the same and get the same share one Buffer.
 *
 * A push to 1,000 streams costs one encoding; what is not asked for again is dropped, oldest first.
 */
export function createResponses() {
  const recent = new Map<string, Response>();
  let size = 0;

  function shared(nonce: string, encode: () => Uint8Array): Response {
    const known = recent.get(nonce);
    if (known !== undefined) return known;
    const bytes = encode();
    const response = { nonce, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
    recent.set(nonce, response);
    size += response.bytes.length;
    for (const [oldest, { bytes: dropped }] of recent) {
      if (size <= capacity) break;
      recent.delete(oldest);
      size -= dropped.length;
    }
    return response;
  }

  return {
    /** @see envoy.service.discovery.v3.DeltaDiscoveryResponse (resources = 2, type_url = 4, nonce = 5, removed_resources = 6) */
    delta(type: ResourceType, changed: readonly Resource[], removed: readonly string[]): Response {
      const nonce = nonceOf(type, changed, removed);
      return shared(nonce, () => {
        const writer = new BinaryWriter();
        for (const { delta } of changed) writer.tag(2, WireType.LengthDelimited).bytes(delta);
        writer.tag(4, WireType.LengthDelimited).string(typeUrls[type]);
        writer.tag(5, WireType.LengthDelimited).string(nonce);
        for (const name of removed) writer.tag(6, WireType.LengthDelimited).string(name);
        return writer.finish();
      });
    },
    /** Lets go of all that is kept for reuse: a crowd's own listeners fill it, and no other proxy gets those. */
    forget(): void {
      recent.clear();
      size = 0;
    },
  };
}

/** What a stream encodes its answers by. */
export type Responses = Pick<ReturnType<typeof createResponses>, "delta">;

function nonceOf(type: ResourceType, changed: readonly Resource[], removed: readonly string[]): string {
  const content = changed.map(({ name, version }) => `${name}=${version}`).join("\n");
  return `${type} ${hash("sha1", `${content}\n-\n${removed.join("\n")}`, "hex").slice(0, 16)}`;
}
