import { generateKeyPairSync } from "node:crypto";
import type { ServerCredentials } from "@grpc/grpc-js";
import type { Client, Informers } from "../../kube/contract.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { authenticate } from "./authenticate.ts";
import { loadAuthority, loadPartAuthority } from "./authority-secret.ts";
import { writeCertificateRequest } from "./csr.ts";
import { issueCertificate, type WorkloadFacts } from "./issue.ts";
import { publishRoots } from "./roots.ts";
import { type ServingCertificate, serveOwnCertificate } from "./server-credentials.ts";
import { certificateServiceDefinition, certificateServiceImplementation } from "./service.ts";
import type { SpiffeId } from "./spiffe.ts";

/** The audience that a workload's projected token must be made for. */
export const tokenAudience = "istio-ca";

export interface CaOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Default `cluster.local`. */
  readonly trustDomain?: string;
  /** The control plane's own. Default `istio-system`. */
  readonly namespace?: string;
  /** IP addresses under which clients reach the control plane, e.g. `["127.77.0.1"]`. */
  readonly addresses: readonly string[];
}

/** The running certificate authority. */
export interface Ca {
  /** PEM. */
  readonly rootPem: string;
  /** For `server.addService(service.definition, service.implementation)` on 15012. */
  readonly service: {
    readonly definition: typeof certificateServiceDefinition;
    readonly implementation: ReturnType<typeof certificateServiceImplementation>;
  };
  /** TLS of 15012: asks clients for a certificate, does not demand one. */
  readonly serverCredentials: ServerCredentials;
  /** The same certificate for an HTTPS server (15017); read it again now and then, it is renewed. */
  readonly servingCertificate: () => ServingCertificate;
  /** A certificate for one of our own parts, e.g. the controller: key and chain, PEM. */
  readonly issueFor: (identity: Omit<SpiffeId, "trustDomain">, facts?: WorkloadFacts) => ServingCertificate;
  readonly close: () => void;
}

/**
 * A serving certificate for a part of the control plane that runs alone, by an authority of its own in Secret `secret`:
 * it needs no right to the mesh's key.
 *
 * @throws Error where the stored authority cannot be used; ApiError where the API server does not answer
 */
export async function startServingCertificate({
  client,
  clock,
  logger,
  trustDomain = "cluster.local",
  namespace = "istio-system",
  addresses,
  secret,
}: Omit<CaOptions, "informers"> & { readonly secret: string }): Promise<
  Pick<Ca, "rootPem" | "servingCertificate" | "close">
> {
  const loaded = await loadPartAuthority(client, namespace, secret, trustDomain, clock.now());
  const names = { dns: ownNames(namespace), ips: addresses };
  const serving = serveOwnCertificate({ authority: () => loaded, names, clock, logger });
  return { rootPem: loaded.rootPem, servingCertificate: serving.current, close: serving.close };
}

/**
 * Starts the certificate authority: its root (found or made), its service, and the root in every namespace.
 *
 * @throws Error where the stored authority cannot be used; ApiError where the API server does not answer
 */
export async function startCa({
  client,
  informers,
  logger,
  clock,
  trustDomain = "cluster.local",
  namespace = "istio-system",
  addresses,
}: CaOptions): Promise<Ca> {
  const loaded = await loadAuthority(client, namespace, trustDomain, clock.now());
  const authority = () => loaded;
  const serving = serveOwnCertificate({
    authority,
    names: { dns: ownNames(namespace), ips: addresses },
    clock,
    logger,
  });
  const roots = await publishRoots({ client, informers, logger, clock, rootPem: loaded.rootPem });
  return {
    rootPem: loaded.rootPem,
    service: {
      definition: certificateServiceDefinition,
      implementation: certificateServiceImplementation({
        authority,
        prove: (credentials) => authenticate(credentials, { client, trustDomain, audience: tokenAudience }),
        clock,
        logger,
      }),
    },
    serverCredentials: serving.credentials,
    servingCertificate: serving.current,
    issueFor: (identity, facts) => {
      const pair = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
      const chain = issueCertificate(loaded, {
        csr: writeCertificateRequest(pair),
        identity: { trustDomain, ...identity },
        ...(facts ? { facts } : {}),
        now: clock.now(),
      });
      return {
        cert: chain.slice(0, -1).join(""),
        key: pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
      };
    },
    close: () => {
      serving.close();
      roots.close();
    },
  };
}

function ownNames(namespace: string): string[] {
  const services = ["istiod", "fairlead", "fairlead-webhooks"].flatMap((service) =>
    [...new Set([namespace, "istio-system"])].flatMap((home) => [
      `${service}.${home}.svc`,
      `${service}.${home}.svc.cluster.local`,
    ]),
  );
  return [...services, "localhost"];
}
