import { rawMethod } from "../../../mesh/xds/raw-method.ts";

/** A gRPC service of one unary method, whose messages are bytes. */
export const talk = {
  Say: rawMethod("/talk.Talk/Say", { requestStream: false, responseStream: false }),
};
