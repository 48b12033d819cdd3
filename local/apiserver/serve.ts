/** The embedded Kubernetes API server: the public entry of this folder. */
import { mkdir } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import type { Connection } from "../../kube/contract.ts";
import type { Logger } from "../../lib/log.ts";
import { webhookAdmission } from "./admission/webhooks.ts";
import { Authenticator } from "./authentication/authenticate.ts";
import { Tokens } from "./authentication/tokens.ts";
import type { ApiContext, PodLog, ResolveService } from "./context.ts";
import { textAt } from "./json.ts";
import { adminConnection, kubeconfigText } from "./kubeconfig.ts";
import { keepDefinitions } from "./lifecycle/definitions.ts";
import { expireEvents } from "./lifecycle/events.ts";
import { GarbageCollector } from "./lifecycle/garbage.ts";
import { createFirstNamespaces, keepNamespaces } from "./lifecycle/namespaces.ts";
import { createFirstRoles, keepAggregatedRoles } from "./lifecycle/roles.ts";
import { type KeyPair, type Keyring, openKeyring } from "./pki/keyring.ts";
import { requestHandler } from "./request/handle.ts";
import { builtinResources } from "./resources/builtin.ts";
import { Registry } from "./resources/registry.ts";
import { Store } from "./storage/store.ts";
import { issueToken, type TokenSpec } from "./subresources/token.ts";

export type { PodLog, PodLogQuery, ResolveService } from "./context.ts";
export type { TokenSpec } from "./subresources/token.ts";

export interface KubernetesOptions {
  /** Keys, certificates and every object: made at the first start, mode 0700. One server at a time. */
  readonly dataDir: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly logger: Logger;
  /** Serves `kubectl logs`; without it that is 501. */
  readonly podLog?: PodLog;
  /** Where a webhook that names a Service is reached; default at one of its ready pods. */
  readonly resolveService?: ResolveService;
  /** Epoch milliseconds. Default: the system's clock. */
  readonly now?: () => number;
}

export interface Kubernetes {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** PEM pair of a client certificate in system:masters. */
  readonly admin: KeyPair;
  connection(): Connection;
  /** YAML text. */
  kubeconfig(): string;
  /** As the TokenRequest API; rejects with Kubernetes' Status as an Error. */
  issueToken(spec: TokenSpec): Promise<{ readonly token: string; readonly expirationTimestamp: string }>;
  /** Ends watches, answers what is under way, closes the files. */
  close(): Promise<void>;
}

/**
 * Starts the API server on what `dataDir` holds.
 *
 * @throws where the address is in use, or the data directory cannot be read or written
 */
export async function serveKubernetes(options: KubernetesOptions): Promise<Kubernetes> {
  const { dataDir, host, port, logger, now = Date.now } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const hosts = [
    ...new Set([
      host,
      "127.0.0.1",
      "localhost",
      "kubernetes.default.svc",
      "kubernetes.default.svc.cluster.local",
      "kubernetes.default",
      "kubernetes",
    ]),
  ];
  const keyring = openKeyring(join(dataDir, "pki"), hosts, now());
  const store = await Store.open(join(dataDir, "storage"));
  const closing = new AbortController();
  const usedClusterIps = () =>
    new Set(store.list("services").map(({ object }) => textAt(object, "spec", "clusterIP") ?? ""));
  const context: ApiContext = {
    store,
    registry: new Registry(builtinResources({ now, usedClusterIps })),
    tokens: new Tokens(keyring.tokenKey),
    admission: webhookAdmission(store, options.resolveService, logger),
    logger,
    now,
    podLog: options.podLog,
    closing: closing.signal,
  };
  keepDefinitions(context);
  await createFirstNamespaces(context, keyring.ca);
  await createFirstRoles(context);
  keepAggregatedRoles(context);
  keepNamespaces(context, keyring.ca);
  new GarbageCollector(context).start();
  expireEvents(context);
  const server = createTlsServer(keyring, context);
  try {
    await listen(server, host, port);
  } catch (error) {
    await store.close();
    throw error;
  }
  const address = server.address();
  const url = `https://${host.includes(":") ? `[${host}]` : host}:${typeof address === "object" && address !== null ? address.port : port}`;
  return {
    url,
    ca: keyring.ca,
    admin: keyring.admin,
    connection: () => adminConnection(url, keyring.ca, keyring.admin),
    kubeconfig: () => kubeconfigText(url, keyring.ca, keyring.admin),
    issueToken: (spec) => issueToken(context, spec),
    async close() {
      closing.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // Requests under way get a second to finish.
      const timer = setTimeout(() => server.closeAllConnections(), 1000);
      await closed;
      clearTimeout(timer);
      await store.close();
    },
  };
}

function createTlsServer(keyring: Keyring, context: ApiContext): Server {
  const authenticator = new Authenticator(context.store, context.tokens, context.now);
  const server = createServer(
    {
      cert: keyring.serving.certificate,
      key: keyring.serving.key,
      ca: keyring.ca,
      requestCert: true,
      // A client without a certificate may have a token.
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      // Watches last: only the head of a request is timed.
      requestTimeout: 0,
      headersTimeout: 30_000,
      keepAliveTimeout: 90_000,
    },
    requestHandler(context, authenticator),
  );
  server.on("tlsClientError", (error) =>
    context.logger.debug({ error: error.message }, "tls handshake failed"),
  );
  return server;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const inUse = error.code === "EADDRINUSE";
      reject(
        inUse
          ? new Error(`${host}:${port} is in use: stop what listens there or choose another port`, {
              cause: error,
            })
          : error,
      );
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      server.on("error", () => undefined);
      resolve();
    });
  });
}
