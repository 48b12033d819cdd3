/** One version of the service: HTTP/1.1 and WebSocket on 8080, gRPC on 8081, bytes on 9000; every answer says its version. */
import { createServer as createHttp } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";

const { HOST: host = "127.0.0.1", VERSION: version = "v1" } = process.env;
const quiet = (socket: Duplex) => void socket.on("error", () => socket.destroy());

const http = createHttp((_request, response) => response.setHeader("version", version).end("ok"));
http.keepAliveTimeout = 120_000;
http.on("upgrade", (_request, socket: Duplex) => {
  quiet(socket);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nversion: ${version}\r\n\r\n`,
  );
  socket.on("data", (bytes: Buffer) => socket.write(bytes));
});
http.listen(8080, host);

const grpc = createHttp2();
grpc.on("stream", (stream) => {
  quiet(stream);
  stream.respond({ ":status": 200, "content-type": "application/grpc", version }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.on("data", (bytes: Buffer) => stream.write(bytes));
  stream.on("end", () => stream.end());
});
grpc.listen(8081, host);

createServer((socket: Socket) => {
  quiet(socket);
  socket.on("data", (bytes) => socket.write(bytes));
}).listen(9000, host);
