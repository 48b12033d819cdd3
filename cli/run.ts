/** The composition root: builds every room of a control plane on one machine and passes each what it needs. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createAnalyst } from "../analysis/watch.ts";
import { NamespaceKind, PodKind } from "../api/core.ts";
import { CanaryKind } from "../api/kinds.ts";
import { type Controller, startController } from "../controller/start.ts";
import { startLease } from "../kube/lease.ts";
import { createPatchStatus } from "../kube/patch-status.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { createRegistry } from "../lib/metrics.ts";
import { startKubernetes } from "../local/index.ts";
import { hostAddress } from "../local/node/address.ts";
import { agentCommand } from "../mesh/agent/command.ts";
import { startCa } from "../mesh/ca/run.ts";
import { createPolicyFilters, policyKinds } from "../mesh/policy-filters.ts";
import { authorizeBy } from "../mesh/signals/authorize.ts";
import { signalServices } from "../mesh/signals/services.ts";
import { createSignals } from "../mesh/signals/signals.ts";
import { startMesh } from "../mesh/start.ts";
import { startStatus } from "../mesh/status.ts";
import { serveGrpc } from "../mesh/xds/serve.ts";
import { defaultMesh } from "../policy/compile/mesh.ts";
import { injectionConfig } from "../webhooks/admission/inject/config.ts";
import { registerAdmission } from "../webhooks/admission/register.ts";
import { serveAdmission } from "../webhooks/admission/server.ts";
import { validate } from "../webhooks/admission/validate/review.ts";
import { createHooks } from "../webhooks/hooks/call.ts";
import { homeNamespace, install } from "./up/install.ts";
import { serveMonitoring } from "./up/monitoring.ts";
import { version } from "./version.ts";

export interface ControlPlaneOptions {
  readonly dataDir: string;
  /** Path of the Envoy that sidecars run. */
  readonly envoy: string;
  readonly logger: Logger;
}

export interface ControlPlane {
  /** Of the embedded Kubernetes API. */
  readonly url: string;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  /** Ends the control plane; pods and sidecars go on. */
  close(): Promise<void>;
  /** Stops every pod, then the control plane. */
  stopAll(): Promise<void>;
}

const ports = { xds: 15010, tls: 15012, monitoring: 15014, webhooks: 15017 } as const;
const { trustDomain } = defaultMesh;

/**
 * Starts everything and resolves once it serves.
 *
 * @throws Error with one line that says what to do: folder or port in use, no space, no Envoy
 */
export async function runControlPlane({
  dataDir,
  envoy,
  logger,
}: ControlPlaneOptions): Promise<ControlPlane> {
  // Sidecars inherit it from the pod runner.
  process.env.ENVOY_BIN = envoy;
  const clock = systemClock;
  const kubernetes = await startKubernetes({
    dataDir,
    logger,
    images: new Map([["fairlead/proxy", agentCommand()]]),
  });
  const ends: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const { client, informers, recorder, subnet } = kubernetes;
    const host = hostAddress(subnet);
    await install(client);
    await informers.watch(NamespaceKind, PodKind, CanaryKind, ...policyKinds);
    const ca = await startCa({
      client,
      informers,
      logger: logger.child({ room: "ca" }),
      clock,
      trustDomain,
      namespace: homeNamespace,
      addresses: [host],
    });
    ends.push(() => ca.close());

    const policies = createPolicyFilters(() => informers.snapshot(), defaultMesh);
    const mesh = await startMesh({
      informers,
      logger: logger.child({ room: "mesh" }),
      clock,
      policyFilters: policies.filtersOf,
      policyKinds,
    });
    ends.push(() => mesh.close());
    ends.push(
      startStatus({
        mesh,
        snapshot: () => informers.snapshot(),
        patchStatus: createPatchStatus(client),
        clock,
        logger,
      }),
    );
    const { signals, collector } = createSignals({
      replica: "local",
      clock,
      cuts: mesh.cuts,
      startOf: () => undefined,
    });
    const authorize = authorizeBy(() => mesh.model().workloads, trustDomain);
    const grpc = await serveGrpc({
      plaintext: { host, port: ports.xds },
      tls: { host, port: ports.tls, credentials: ca.serverCredentials },
      services: [...mesh.services, ca.service, ...signalServices(collector, authorize, logger)],
    });
    ends.push(() => grpc.close());

    const snapshot = () => informers.snapshot();
    const admission = await serveAdmission({
      host,
      port: ports.webhooks,
      certificate: ca.servingCertificate,
      injection: injectionConfig(version, { discoveryAddress: `${host}:${ports.tls}`, noProxy: [host] }),
      namespaceLabels: (namespace) => snapshot().get(NamespaceKind, undefined, namespace)?.metadata.labels,
      validate: (review) => validate(review, (namespace) => snapshot().list(CanaryKind, namespace)),
      logger: logger.child({ room: "webhooks" }),
    });
    ends.push(() => admission.close());
    await registerAdmission(client, {
      caBundle: ca.rootPem,
      at: { url: `https://${host}:${ports.webhooks}` },
      namespace: homeNamespace,
    });

    const analyst = createAnalyst({ signals, clock, logger: logger.child({ room: "analysis" }) });
    ends.push(() => analyst.close());
    let controller: Controller | undefined;
    const lease = startLease(client, {
      namespace: homeNamespace,
      name: "fairlead-controller-0",
      holder: `${hostname()}-${randomBytes(4).toString("hex")}`,
      logger,
      // What became due while another held it is not left for the next tick.
      onChange: (held) => held && controller?.resync(),
    });
    ends.push(() => lease.release());
    const hooks = createHooks({ logger: logger.child({ room: "hooks" }), clock });
    ends.push(() => hooks.close());
    const registry = createRegistry();
    const monitoring = await serveMonitoring({ host, port: ports.monitoring, text: () => registry.text() });
    ends.push(() => monitoring.close());
    controller = await startController({
      client,
      informers,
      recorder,
      signals,
      analyst,
      hooks,
      registry,
      acknowledged: (route) => mesh.programmed(route),
      lease,
      logger: logger.child({ room: "controller" }),
      clock,
    });
    ends.push(() => controller?.close());

    return {
      url: kubernetes.url,
      kubeconfig: kubernetes.kubeconfig,
      async close() {
        await close();
        await kubernetes.close();
      },
      async stopAll() {
        await controller?.close();
        await kubernetes.stopAll();
        await close();
      },
    };
  } catch (error) {
    await close();
    await kubernetes.close();
    throw error;
  }
}
