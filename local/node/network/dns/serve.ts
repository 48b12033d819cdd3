import { createSocket } from "node:dgram";
import { readFileSync, watch } from "node:fs";
import { createServer, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { answerQuery } from "./answer.ts";
import type { Zone } from "./zone.ts";

const port = 53;
/** The longest answer that one UDP packet carries unbroken over the pods' links, bytes. */
const packetSize = 1432;
/** A TCP client that says nothing for so long is sent away, milliseconds. */
const idle = 10_000;

/**
 * Serves the cluster's names over UDP and TCP on `address` from a file of {@link Zone}, read again when it changes.
 *
 * It needs no control plane: names go on to resolve while that is away.
 */
export async function serveNames(address: string, zoneFile: string): Promise<void> {
  let zone = readZone(zoneFile, {});
  watch(dirname(zoneFile), (_event, file) => {
    if (file === basename(zoneFile)) zone = readZone(zoneFile, zone);
  });
  const packets = createSocket("udp4");
  packets.on("message", (message, { address: peer, port: peerPort }) => {
    const answer = answerQuery(message, zone, packetSize);
    if (answer) packets.send(answer, peerPort, peer);
  });
  const streams = createServer((socket) => converse(socket, (message) => answerQuery(message, zone)));
  await Promise.all([
    new Promise<void>((resolve, reject) => {
      packets.once("error", reject);
      packets.bind(port, address, resolve);
    }),
    new Promise<void>((resolve, reject) => {
      streams.once("error", reject);
      streams.listen(port, address, resolve);
    }),
  ]);
}

/** Messages with their length in two bytes before each. RFC 1035 §4.2.2 */
function converse(socket: Socket, answer: (message: Buffer) => Uint8Array | undefined): void {
  let held = Buffer.alloc(0);
  socket.setTimeout(idle, () => socket.destroy());
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const end = 2 + held.readUInt16BE(0);
      const said = answer(held.subarray(2, end));
      held = held.subarray(end);
      if (said === undefined) return void socket.destroy();
      const length = Buffer.alloc(2);
      length.writeUInt16BE(said.length);
      socket.write(Buffer.concat([length, said]));
    }
  });
}

/** `before` where the file is not there or half-written. */
function readZone(file: string, before: Zone): Zone {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Zone;
  } catch {
    return before;
  }
}
