import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

/** A service as `Server.addService` takes it. */
export interface GrpcService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface GrpcAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface ServeOptions {
  /** 15010: for proxies on the same machine, and for foreign ones that ask for no TLS. */
  readonly plaintext?: GrpcAddress;
  /** 15012, with the certificate authority's credentials. */
  readonly tls?: GrpcAddress & { readonly credentials: ServerCredentials };
  readonly services: readonly GrpcService[];
}

export interface GrpcServer {
  /** Ports in use, where the options named them. */
  readonly ports: { readonly plaintext: number | undefined; readonly tls: number | undefined };
  /** Ends every stream. */
  close(): void;
}

/** grpc-js has no keepalive and takes at most 4 MB by default; several streams of a proxy share one connection. */
const serverOptions = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
  "grpc.max_send_message_length": -1,
  "grpc.max_concurrent_streams": 2 ** 31 - 1,
} as const;

/**
 * Serves gRPC on the control plane's ports: one server, so that every service is on each of them.
 *
 * @throws where a port cannot be bound, saying which
 */
export async function serveGrpc({ plaintext, tls, services }: ServeOptions): Promise<GrpcServer> {
  const server = new Server(serverOptions);
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  const bind = ({ host, port }: GrpcAddress, credentials: ServerCredentials) =>
    new Promise<number>((resolve, reject) => {
      const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      server.bindAsync(address, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else
          reject(
            new Error(`cannot listen on ${address}: stop what listens there or name another port`, {
              cause: error,
            }),
          );
      });
    });
  try {
    return {
      ports: {
        plaintext: plaintext && (await bind(plaintext, ServerCredentials.createInsecure())),
        tls: tls && (await bind(tls, tls.credentials)),
      },
      close: () => server.forceShutdown(),
    };
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
}
