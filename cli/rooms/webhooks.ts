import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CanaryDefaults } from "../../api/canary/read.ts";
import { NamespaceKind } from "../../api/core.ts";
import {
  AuthorizationPolicyKind,
  CanaryKind,
  MetricTemplateKind,
  RequestAuthenticationKind,
} from "../../api/kinds.ts";
import type { Client, Informers } from "../../kube/contract.ts";
import { systemClock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { startServingCertificate } from "../../mesh/ca/run.ts";
import { checkPolicy } from "../../policy/admission/check.ts";
import { defaultMesh } from "../../policy/compile/mesh.ts";
import { type InjectionConfig, injectionConfig } from "../../webhooks/admission/inject/config.ts";
import { type RegisterOptions, registerAdmission } from "../../webhooks/admission/register.ts";
import { type AdmissionOptions, serveAdmission } from "../../webhooks/admission/server.ts";
import type { CheckObject } from "../../webhooks/admission/validate/object.ts";
import { validate } from "../../webhooks/admission/validate/review.ts";
import { homeNamespace } from "../up/install.ts";
import { version } from "../version.ts";
import { endInOrder } from "./ends.ts";
import { ports } from "./ports.ts";

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
  /** What the controller is set to. */
  readonly defaults?: CanaryDefaults;
  readonly injection: Pick<InjectionConfig, "discoveryAddress"> & Partial<InjectionConfig>;
}

/** What the policy room says of its kinds: what Envoy or Istio would refuse, or take for something else, is an error. */
const checkIfPolicy: CheckObject = (object) =>
  [AuthorizationPolicyKind.kind, RequestAuthenticationKind.kind].includes(object.kind)
    ? checkPolicy(object)
    : undefined;

/** Serves the admission webhooks and tells the API server of them. */
export async function startWebhooks(options: WebhooksOptions): Promise<{ close(): Promise<void> }> {
  const { client, informers, logger, host, certificate, rootPem, at, injection, defaults } = options;
  await informers.watch(NamespaceKind, CanaryKind, MetricTemplateKind);
  const snapshot = () => informers.snapshot();
  const admission = await serveAdmission({
    host,
    port: ports.webhooks,
    certificate,
    injection: injectionConfig(version, injection),
    namespaceLabels: (namespace) => snapshot().get(NamespaceKind, undefined, namespace)?.metadata.labels,
    namespaceAnnotations: (namespace) =>
      snapshot().get(NamespaceKind, undefined, namespace)?.metadata.annotations,
    validate: (review) =>
      validate(
        review,
        (namespace) => snapshot().list(CanaryKind, namespace),
        checkIfPolicy,
        defaults,
        (namespace, name) => snapshot().get(MetricTemplateKind, namespace, name) !== undefined,
      ),
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

export interface WebhooksAloneOptions extends Omit<WebhooksOptions, "certificate" | "rootPem"> {
  /** IP addresses under which the API server may reach them. */
  readonly addresses: readonly string[];
  /** Folder with `tls.crt`, `tls.key` and `ca.crt`, e.g. cert-manager's Secret; default an authority of their own. */
  readonly certificateFolder?: string;
}

/** The webhooks as a program of their own. */
export function startWebhooksAlone(options: WebhooksAloneOptions): Promise<{ close(): Promise<void> }> {
  return endInOrder(async (atEnd) => {
    const { certificateFolder } = options;
    const certificate =
      certificateFolder === undefined ? await ownCertificate(options) : certificateFrom(certificateFolder);
    atEnd(() => certificate.close());
    const { rootPem, servingCertificate } = certificate;
    const webhooks = await startWebhooks({ ...options, certificate: servingCertificate, rootPem });
    atEnd(() => webhooks.close());
    return {};
  });
}

/** Secret of the webhooks' own authority, which the Helm chart makes empty. */
const authoritySecret = "fairlead-webhooks-ca";

function ownCertificate({ client, logger, addresses }: WebhooksAloneOptions) {
  const { trustDomain } = defaultMesh;
  const place = { namespace: homeNamespace, secret: authoritySecret };
  return startServingCertificate({ client, clock: systemClock, logger, trustDomain, addresses, ...place });
}

/** The kubelet renews mounted files in place: they are read at each question. */
function certificateFrom(folder: string): Awaited<ReturnType<typeof ownCertificate>> {
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  return {
    rootPem: read("ca.crt"),
    servingCertificate: () => ({ cert: read("tls.crt"), key: read("tls.key") }),
    close: () => undefined,
  };
}
