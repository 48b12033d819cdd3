import { createServer, type Server } from "node:net";

/** Listens on any free port of 127.0.0.1 and says which. */
export async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** So many ports that nobody listens on, at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  const ports: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const server = createServer();
    ports.push(await portOf(server));
    servers.push(server);
  }
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** Below the ports that a system hands to clients, so that in a network of our own nobody else has them. */
const firstOwn = 2000;

/** Ports for so many listeners, in a network of our own. */
export function ownPorts(count: number): number[] {
  return Array.from({ length: count }, (_, index) => firstOwn + index);
}
