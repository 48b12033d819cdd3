/**
 * The receiver's thread: takes the connections of proxies, reads their requests and hands the bodies over in batches.
 *
 * A thread of its own because it sleeps: to wake up for each of hundreds of small messages a second, one by one, costs more
 * than to read them. Where many come it reads all that is there ten times a second, and nothing in between, which no other part
 * of a control plane could do.
 */
import { constants } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { attemptsPath, nodeHeader, reportsPath } from "../../build/signals-cluster.ts";
import type { Reporter } from "../authorize.ts";
import {
  cells,
  type FromReceiver,
  PostBatch,
  type PostKind,
  type ReceiverSetup,
  type ServingCertificate,
  type ToReceiver,
} from "./messages.ts";
import { PostReader } from "./post-reader.ts";

/**
 * A connection that is silent for this long is closed, milliseconds: long after a proxy itself closes one that it does
 * not use, so that none is closed while an attempt is on its way. Those whose proxy is gone are found by TCP's keepalive.
 */
const silence = 900_000;
const keepalive = 30_000;
/** Milliseconds of one turn: read what is there, sleep for the rest. */
const turn = 100;
/** Posts of one second from which on turns cost less than waking up for each: where few come, each is read at once. */
const manyPosts = 100;
/** Bytes of posts that may wait for a control plane that is busy; what comes then is forgotten: counts come again. */
const mostWaiting = 32_000_000;

const taken = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
const refusal = Buffer.from("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
const notFound = Buffer.from("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
const kindsByPath: ReadonlyMap<string, PostKind> = new Map([
  [reportsPath, "report"],
  [attemptsPath, "attempts"],
]);

interface Connection {
  readonly socket: Socket;
  /** Answers to posts before it is admitted. */
  unanswered: number;
  admitted: boolean;
  /** It was told to go: whatever else it says is not read. */
  over: boolean;
}

function receive({ host, port, tls, shared }: ReceiverSetup, outside: MessagePort): void {
  const numbers = new Int32Array(shared);
  const connections = new Map<number, Connection>();
  const batch = new PostBatch();
  let connectionsSoFar = 0;
  /** Posts of this second, and whether so many came in the one before that it works in turns. */
  let posts = 0;
  let inTurns = false;
  let scheduled = false;

  const tell = (message: FromReceiver) => outside.postMessage(message);
  const handOver = () => {
    if (batch.empty) return;
    const { index, bodies } = batch.take();
    Atomics.add(numbers, cells.waiting, bodies.length);
    outside.postMessage({ kind: "posts", index, bodies } satisfies FromReceiver, [
      index.buffer,
      bodies.buffer,
    ]);
  };
  /** Comes after the event loop has read what is there. */
  const atEndOfLoop = () => {
    scheduled = false;
    handOver();
    if (!inTurns) return;
    Atomics.wait(numbers, cells.bell, 0, turn);
    Atomics.store(numbers, cells.bell, 0);
    schedule();
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(atEndOfLoop);
  };
  setInterval(() => {
    inTurns = posts >= manyPosts;
    posts = 0;
    if (inTurns) schedule();
  }, 1000).unref();

  const open = (socket: Socket) => {
    const connection = ++connectionsSoFar;
    const state: Connection = { socket, unanswered: 0, admitted: false, over: false };
    connections.set(connection, state);
    tell({ kind: "opened", connection, reporter: reporterOf(socket) });
    const reader = new PostReader(nodeHeader);
    let named = "";
    socket.setTimeout(silence, () => socket.destroy());
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepalive);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      connections.delete(connection);
      handOver();
      tell({ kind: "closed", connection });
    });
    socket.on("data", (bytes: Buffer) => {
      if (state.over) return;
      try {
        for (const { path, node, body } of reader.push(bytes)) {
          const kind = kindsByPath.get(path);
          if (kind === undefined) {
            dismiss(state, notFound);
            return;
          }
          if (node !== named) {
            handOver();
            tell({ kind: "named", connection, node });
            named = node;
          }
          posts += 1;
          if (Atomics.load(numbers, cells.waiting) < mostWaiting) batch.add(connection, kind, body);
          if (state.admitted) socket.write(taken);
          else state.unanswered += 1;
        }
        schedule();
      } catch (error) {
        tell({
          kind: "unreadable",
          connection,
          reason: error instanceof Error ? error.message : String(error),
        });
        socket.destroy();
      }
    });
  };

  const server = tls === undefined ? createServer(open) : createTlsServer(tlsOptions(tls), open);
  server.on("tlsClientError", (error) => tell({ kind: "unsecured", reason: error.message }));
  server.on("error", (error) => tell({ kind: "failed", reason: error.message }));
  server.listen(port, host, () => {
    const address = server.address();
    tell({ kind: "listening", port: typeof address === "object" && address !== null ? address.port : port });
  });

  outside.on("message", (message: ToReceiver) => {
    if (message.kind === "certificate") {
      if (tls !== undefined && "setSecureContext" in server)
        server.setSecureContext(tlsOptions({ ...tls, certificate: message.certificate }));
      return;
    }
    const state = connections.get(message.connection);
    if (state === undefined) return;
    if (message.kind === "damaged") state.socket.destroy();
    else if (message.kind === "refused") dismiss(state, refusal);
    else {
      state.admitted = true;
      for (; state.unanswered > 0; state.unanswered--) state.socket.write(taken);
    }
  });
}

function dismiss(connection: Connection, answer: Buffer): void {
  connection.over = true;
  connection.socket.end(answer);
}

function tlsOptions({
  rootPem,
  certificate,
}: {
  readonly rootPem: string;
  readonly certificate: ServingCertificate;
}) {
  return {
    ...certificate,
    ca: rootPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2" as const,
    ALPNProtocols: ["http/1.1"],
    // A resumed session would show no certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

function reporterOf(socket: Socket): Reporter {
  const address = `${socket.remoteAddress}:${socket.remotePort}`;
  return socket instanceof TLSSocket
    ? { transport: "tls", subjectAltName: socket.getPeerCertificate().subjectaltname, address }
    : { transport: "plaintext", subjectAltName: undefined, address };
}

if (parentPort !== null) receive(workerData as ReceiverSetup, parentPort);
