import { addressBytes } from "../evaluate/address.ts";

/** One end of a connection. */
export interface End {
  readonly ip: string;
  readonly port: number;
}

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const proxyCommand = 0x21;
const tcpOver = { 4: 0x11, 16: 0x21 } as const;

/** The header of PROXY protocol version 2 for a TCP connection. @throws where the two are not of one family */
export function proxyHeader(from: End, to: End): Buffer {
  const [source, destination] = [addressBytes(from.ip), addressBytes(to.ip)];
  if (source === undefined || source.length !== destination?.length)
    throw new Error(`\`${from.ip}\` and \`${to.ip}\` are not of one address family`);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(from.port, 0);
  ports.writeUInt16BE(to.port, 2);
  const body = Buffer.concat([source, destination, ports]);
  const head = Buffer.from([proxyCommand, tcpOver[source.length === 4 ? 4 : 16], 0, body.length]);
  return Buffer.concat([signature, head, body]);
}
