/**
 * A gRPC client of grpc-js that resolves its target by xDS, as `GRPC_XDS_BOOTSTRAP` says. It calls
 * grpc.health.v1.Health/Check every 20 ms and prints the answer's header `version`, a line each.
 */
import { Client, credentials, type Metadata } from "@grpc/grpc-js";
import { register } from "@grpc/grpc-js-xds";

register();
const client = new Client(process.argv[2] ?? "", credentials.createInsecure());
const asIs = (bytes: Buffer) => bytes;

function call(): void {
  let version = "";
  const deadline = Date.now() + 2000;
  client
    .makeUnaryRequest("/grpc.health.v1.Health/Check", asIs, asIs, Buffer.alloc(0), { deadline }, (error) => {
      if (error !== null) process.stderr.write(`${error.message}\n`);
      process.stdout.write(`${error === null ? version : "error"}\n`);
      setTimeout(call, 20);
    })
    .on("metadata", (metadata: Metadata) => {
      version = String(metadata.get("version")[0]);
    });
}

call();
