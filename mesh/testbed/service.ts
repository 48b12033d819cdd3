import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A small HTTP service that answers every request with `text`. */
export async function startService(
  text: string,
  host = "127.0.0.1",
): Promise<{ port: number; server: Server; stop(): Promise<void> }> {
  const server = createServer((_request, response) => response.end(text));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    server,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
