import type { MethodDefinition } from "@grpc/grpc-js";

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

/** A gRPC method whose messages are bytes in both directions: answers are encoded once for all, requests are read by hand. */
export function rawMethod(
  path: string,
  streams: Pick<MethodDefinition<Buffer, Buffer>, "requestStream" | "responseStream">,
): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    ...streams,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
}
