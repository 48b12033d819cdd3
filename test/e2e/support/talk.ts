import { type Client, Metadata } from "@grpc/grpc-js";
import { rawMethod } from "../../../mesh/xds/raw-method.ts";

/** A gRPC service of one unary method, whose messages are bytes. */
export const talk = {
  Say: rawMethod("/talk.Talk/Say", { requestStream: false, responseStream: false }),
};

/** Calls it. @returns what it said, or `status CODE` */
export function hear(client: Client, metadata = new Metadata()): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = talk.Say;
  const hello = Buffer.from("hello");
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, hello, metadata, (error, answer) =>
      resolve(error === null ? String(answer) : `status ${error.code}`),
    );
  });
}
