import { constants } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { readMetricsExport } from "../../envoy/readers/otlp-metrics.ts";
import type { Logger } from "../../lib/log.ts";
import { nodeHeader } from "../build/bootstrap-telemetry.ts";
import type { Admit, Reporter } from "./authorize.ts";
import { Bursts } from "./bursts.ts";
import type { ReportingWorkload } from "./counts.ts";
import { type Post, PostReader } from "./post-reader.ts";
import type { Collector } from "./signals.ts";

export interface ReportServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Without it reports come in plain text, and every proxy is taken at its word. */
  readonly tls?: {
    /** PEM of what signs the certificates of workloads. */
    readonly rootPem: string;
    /** PEM. Read again each minute: it is renewed while the server runs. */
    readonly certificate: () => { readonly cert: string; readonly key: string };
  };
  readonly collector: Collector;
  readonly admit: Admit;
  readonly logger: Logger;
}

const certificateCheckEvery = 60_000;
/** A proxy reports each second: a connection that is silent for this long is dead. */
const silence = 60_000;
const taken = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
const refusal = Buffer.from("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");

/**
 * Takes the reports of proxies: OTLP over HTTP/1.1, over TLS with the workload's own certificate.
 *
 * A damaged or refused report ends its own connection and nothing else.
 *
 * @throws where the port cannot be bound
 */
export async function serveReports(
  options: ReportServerOptions,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const { host, port, tls, logger } = options;
  const sockets = new Set<Socket>();
  const bursts = new Bursts();
  const take = (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    readConnection(socket, bursts, options);
  };
  let refresh: NodeJS.Timeout | undefined;
  const server = tls === undefined ? createServer(take) : createTlsServer(tlsOptions(tls), take);
  server.on("tlsClientError", (error) => logger.debug({ err: error }, "a proxy failed in tls"));
  if (tls !== undefined && "setSecureContext" in server) {
    let current = tls.certificate();
    refresh = setInterval(() => {
      const next = tls.certificate();
      if (next.cert === current.cert) return;
      current = next;
      server.setSecureContext(tlsOptions(tls));
    }, certificateCheckEvery).unref();
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new Error(`cannot listen on ${host}:${port}: stop what listens there or name another port`, {
          cause,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close() {
      clearInterval(refresh);
      bursts.close();
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function tlsOptions({ rootPem, certificate }: NonNullable<ReportServerOptions["tls"]>) {
  return {
    ...certificate(),
    ca: rootPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2" as const,
    ALPNProtocols: ["http/1.1"],
    // A resumed session would show no certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

function readConnection(
  socket: Socket,
  bursts: Bursts,
  { collector, admit, logger }: ReportServerOptions,
): void {
  const reader = new PostReader(nodeHeader);
  const hold = bursts.holdOf(socket);
  const reporter = reporterOf(socket);
  let admitted: { readonly node: string; readonly workload: ReportingWorkload | undefined } | undefined;
  /** Why a report is refused; undefined where it was taken. */
  const take = ({ node, body }: Post): string | undefined => {
    // Asked again while the pod is not known yet: it may be listed later than its proxy reports.
    if (admitted?.node !== node || admitted.workload === undefined) {
      const answer = admit(reporter, node);
      if (answer.refused !== undefined) return answer.refused;
      admitted = { node, workload: answer.workload };
    }
    collector.takeReport(node, readMetricsExport(body), admitted.workload);
    return undefined;
  };
  socket.setTimeout(silence, () => socket.destroy());
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (bytes: Buffer) => {
    try {
      for (const post of reader.push(bytes)) {
        const refused = take(post);
        if (refused === undefined) {
          socket.write(taken);
          continue;
        }
        logger.warn({ proxy: post.node, refused }, "a proxy's report was refused");
        socket.end(refusal);
        return;
      }
      if (reader.idle) hold();
    } catch (error) {
      logger.warn({ err: error, peer: reporter.address }, "a proxy's report could not be read");
      socket.destroy();
    }
  });
}

function reporterOf(socket: Socket): Reporter {
  const address = `${socket.remoteAddress}:${socket.remotePort}`;
  return socket instanceof TLSSocket
    ? { transport: "tls", subjectAltName: socket.getPeerCertificate().subjectaltname, address }
    : { transport: "plaintext", subjectAltName: undefined, address };
}
