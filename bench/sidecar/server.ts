/** The application behind the sidecar: the least that answers HTTP/1.1, so that little else is measured. */
import { createServer } from "node:net";

const { HOST: host = "127.0.0.1", PORT: port = "8080" } = process.env;

createServer((socket) => {
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
    for (let end = received.indexOf("\r\n\r\n"); end >= 0; end = received.indexOf("\r\n\r\n")) {
      // Who the caller proved to be: empty where it came without a certificate.
      const by = /\r\nx-forwarded-client-cert: .*URI=([^;\r]*)/i.exec(received.slice(0, end))?.[1] ?? "";
      received = received.slice(end + 4);
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${by.length}\r\n\r\n${by}`);
    }
  });
}).listen(Number(port), host);
