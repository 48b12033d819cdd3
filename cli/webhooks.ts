import { NamespaceKind } from "../api/core.ts";
import { CanaryKind } from "../api/kinds.ts";
import type { Client, Informers } from "../kube/contract.ts";
import { ApiError } from "../kube/error.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { serveCertificateOnly } from "../mesh/ca/run.ts";
import { type InjectionConfig, injectionConfig } from "../webhooks/admission/inject/config.ts";
import { type RegisterOptions, registerAdmission } from "../webhooks/admission/register.ts";
import { type AdmissionOptions, serveAdmission } from "../webhooks/admission/server.ts";
import { validate } from "../webhooks/admission/validate/review.ts";
import { ports } from "./ports.ts";
import { homeNamespace } from "./up/install.ts";
import { version } from "./version.ts";

/** What the webhooks need of an API server. */
export interface WebhooksAccess {
  readonly client: Client;
  readonly informers: Informers;
}

export interface WebhooksOptions extends WebhooksAccess {
  readonly logger: Logger;
  /** Address that they bind. */
  readonly host: string;
  readonly certificate: AdmissionOptions["certificate"];
  /** PEM: who signed it. */
  readonly rootPem: string;
  /** Where the API server reaches them. */
  readonly at: RegisterOptions["at"];
  readonly injection: Pick<InjectionConfig, "discoveryAddress"> & Partial<InjectionConfig>;
}

/** Serves the admission webhooks and tells the API server of them. */
export async function startWebhooks(options: WebhooksOptions): Promise<{ close(): Promise<void> }> {
  const { client, informers, logger, host, certificate, rootPem, at, injection } = options;
  await informers.watch(NamespaceKind, CanaryKind);
  const snapshot = () => informers.snapshot();
  const admission = await serveAdmission({
    host,
    port: ports.webhooks,
    certificate,
    injection: injectionConfig(version, injection),
    namespaceLabels: (namespace) => snapshot().get(NamespaceKind, undefined, namespace)?.metadata.labels,
    validate: (review) => validate(review, (namespace) => snapshot().list(CanaryKind, namespace)),
    logger,
  });
  try {
    await registerAdmission(client, { caBundle: rootPem, at, namespace: homeNamespace });
  } catch (error) {
    await admission.close();
    throw error;
  }
  return admission;
}

/** The webhooks as a program of their own, with a certificate by the mesh's authority, whose Secret they read. */
export async function startWebhooksAlone(
  options: Omit<WebhooksOptions, "certificate" | "rootPem"> & {
    readonly clock: Clock;
    readonly trustDomain: string;
  },
): Promise<{ close(): Promise<void> }> {
  const { client, clock, logger, trustDomain } = options;
  const of = { client, clock, logger, trustDomain, namespace: homeNamespace, addresses: [] };
  const ca = await onceMade(() => serveCertificateOnly(of), clock);
  try {
    const webhooks = await startWebhooks({
      ...options,
      certificate: ca.servingCertificate,
      rootPem: ca.rootPem,
    });
    return {
      async close() {
        await webhooks.close();
        ca.close();
      },
    };
  } catch (error) {
    ca.close();
    throw error;
  }
}

/** Waits for the authority: these webhooks may read it, and only the control plane may make it. */
async function onceMade<T>(open: () => Promise<T>, clock: Clock): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await open();
    } catch (error) {
      const notYet = error instanceof ApiError && error.status === 403;
      if (!notYet || attempt === 60) throw error;
      await new Promise<void>((resolve) => clock.after(1000, resolve));
    }
  }
}
