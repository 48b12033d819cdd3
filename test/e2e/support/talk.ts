const bytes = (value: Buffer): Buffer => value;
/** A gRPC service of one unary method, whose messages are bytes. */
export const talk = {
  Say: {
    path: "/talk.Talk/Say",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} as const;
