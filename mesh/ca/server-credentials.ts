import { generateKeyPairSync } from "node:crypto";
import { experimental, type ServerCredentials } from "@grpc/grpc-js";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Authority } from "./authority.ts";
import { defaultLifetime, signLeaf } from "./issue.ts";

/** PEM: the chain that a TLS server shows, and its key. */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
}

/** The control plane's own certificate, renewed at half its life for as long as it is not closed. */
export interface Serving {
  readonly current: () => ServingCertificate;
  /** For a gRPC server: follows each renewal without rebinding. */
  readonly credentials: ServerCredentials;
  readonly close: () => void;
}

/** Looked at this often: a timer for twelve hours would not survive a laptop's sleep. */
const checkEvery = 60_000;

/**
 * Makes the certificate of ports 15012 and 15017 and keeps it fresh.
 *
 * Client certificates are asked for and not demanded: an agent that has none yet must reach the CSR service. grpc-js
 * shows a certificate in `getAuthContext()` only where TLS verified it against the root.
 *
 * @param names every DNS name and IP address under which clients reach the control plane
 */
export function serveOwnCertificate({
  authority,
  names,
  clock,
  logger,
}: {
  readonly authority: () => Authority;
  readonly names: { readonly dns: readonly string[]; readonly ips: readonly string[] };
  readonly clock: Clock;
  readonly logger: Logger;
}): Serving {
  const provider = new CertificateHolder(authority().rootPem);
  let certificate = issueServing(authority(), names, clock.now());
  provider.setIdentity(certificate);
  let renewAt = clock.now() + defaultLifetime / 2;
  const renew = () => {
    cancel = clock.after(checkEvery, renew);
    if (clock.now() < renewAt) return;
    try {
      certificate = issueServing(authority(), names, clock.now());
      renewAt = clock.now() + defaultLifetime / 2;
      provider.setIdentity(certificate);
    } catch (error) {
      logger.error({ err: error }, "the control plane's own certificate was not renewed");
    }
  };
  let cancel = clock.after(checkEvery, renew);
  return {
    current: () => certificate,
    // (identity, ca, …): the declaration file of grpc-js 1.14 names the first two the other way round
    credentials: experimental.createCertificateProviderServerCredentials(provider, provider, false),
    close: () => cancel(),
  };
}

function issueServing(
  authority: Authority,
  names: { readonly dns: readonly string[]; readonly ips: readonly string[] },
  now: number,
): ServingCertificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const key = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const publicKeyInfo = publicKey.export({ format: "der", type: "spki" });
  const chain = signLeaf(authority, {
    publicKeyInfo,
    subject: [{ type: "CN", value: "fairlead" }],
    names,
    now,
    lifetime: 0,
  });
  return { cert: chain.slice(0, -1).join(""), key };
}

type CertificateProvider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0];
type IdentityListener = Parameters<CertificateProvider["addIdentityCertificateListener"]>[0];
type CaListener = Parameters<CertificateProvider["addCaCertificateListener"]>[0];

/**
 * Hands the newest certificate to grpc-js.
 *
 * A listener must be called soon after it subscribes, and not while it does: grpc-js registers the server that the
 * news is for only after that, and drops every connection of a server that never heard any.
 */
class CertificateHolder implements CertificateProvider {
  readonly #identityListeners = new Set<IdentityListener>();
  readonly #root: Buffer;
  #identity: { certificate: Buffer; privateKey: Buffer } | null = null;

  constructor(rootPem: string) {
    this.#root = Buffer.from(rootPem);
  }

  setIdentity({ cert, key }: ServingCertificate): void {
    this.#identity = { certificate: Buffer.from(cert), privateKey: Buffer.from(key) };
    for (const listener of this.#identityListeners) listener(this.#identity);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    queueMicrotask(() => listener(this.#identity));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    queueMicrotask(() => listener({ caCertificate: this.#root }));
  }

  removeCaCertificateListener(): void {}
}
