import { createServer } from "node:http";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import {
  CheckRequestSchema,
  CheckResponseSchema,
} from "../../envoy/generated/envoy/service/auth/v3/external_auth_pb.js";
import { portOf } from "./port.ts";

export interface Authorizers {
  readonly http: number;
  readonly grpc: number;
  close(): Promise<void>;
}

const header = "x-ext-authz";
const permissionDenied = 7;

/** Starts an external authorizer of each protocol: it lets in exactly what carries `x-ext-authz: allow`. */
export async function startAuthorizers(): Promise<Authorizers> {
  const http = createServer((request, response) => {
    response.statusCode = request.headers[header] === "allow" ? 200 : 403;
    response.end();
  });
  const grpc = new Server();
  grpc.addService(
    {
      Check: {
        path: "/envoy.service.auth.v3.Authorization/Check",
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    { Check: check },
  );
  const httpPort = await portOf(http);
  const grpcPort = await new Promise<number>((resolve, reject) =>
    grpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  return {
    http: httpPort,
    grpc: grpcPort,
    async close() {
      grpc.forceShutdown();
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
    },
  };
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

function check(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
  const { attributes } = fromBinary(CheckRequestSchema, call.request);
  const allowed = attributes?.request?.http?.headers[header] === "allow";
  const response = create(CheckResponseSchema, {
    status: { code: allowed ? 0 : permissionDenied },
    httpResponse: allowed
      ? { case: "okResponse", value: {} }
      : { case: "deniedResponse", value: { status: { code: 403 } } },
  });
  answer(null, Buffer.from(toBinary(CheckResponseSchema, response)));
}
