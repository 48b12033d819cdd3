import { hostname } from "node:os";
import { NamespaceKind, PodKind } from "../../api/core.ts";
import { CanaryKind } from "../../api/kinds.ts";
import type { Signals } from "../../api/signals.ts";
import type { Client, Informers } from "../../kube/contract.ts";
import { createPatchStatus } from "../../kube/patch-status.ts";
import { systemClock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { type Ca, startCa } from "../../mesh/ca/run.ts";
import type { Mesh } from "../../mesh/contract.ts";
import { createDebug } from "../../mesh/debug/serve.ts";
import { deployGateways } from "../../mesh/gateway-api/deploy.ts";
import { startGatewayStatus } from "../../mesh/gateway-api/status.ts";
import { startPolicies } from "../../mesh/policies.ts";
import { policyKinds } from "../../mesh/policy-filters.ts";
import { admitBy } from "../../mesh/signals/authorize.ts";
import { serveOtlp } from "../../mesh/signals/otlp-server.ts";
import { admitControllers } from "../../mesh/signals/remote/authorize.ts";
import { signalsService } from "../../mesh/signals/remote/service.ts";
import { createSignals } from "../../mesh/signals/signals.ts";
import { startMesh } from "../../mesh/start.ts";
import { startStatus } from "../../mesh/status.ts";
import { serveGrpc } from "../../mesh/xds/serve.ts";
import { defaultMesh } from "../../policy/compile/mesh.ts";
import { type InjectionConfig, injectionConfig } from "../../webhooks/admission/inject/config.ts";
import { homeNamespace } from "../up/install.ts";
import type { MonitoringOptions } from "../up/monitoring.ts";
import { trimHeap } from "../up/trim-heap.ts";
import { version } from "../version.ts";
import { type Ends, endInOrder } from "./ends.ts";
import { ports } from "./ports.ts";

export interface MeshRoomOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly logger: Logger;
  /** Address that it binds. */
  readonly host: string;
  /** IP addresses under which clients reach it. */
  readonly addresses: readonly string[];
  /** How proxies run: those of Gateway objects as the sidecars do. */
  readonly injection: Pick<InjectionConfig, "discoveryAddress"> & Partial<InjectionConfig>;
  /** Service accounts (`namespace/name`) of controllers in processes of their own; none by default. */
  readonly controllers?: readonly string[];
  /** Whether nothing gives Services of type LoadBalancer an address: a Gateway's is then its ClusterIP. */
  readonly noLoadBalancer?: boolean;
}

/** Discovery, the certificate authority and the signals of proxies, served. */
export interface MeshRoom {
  readonly signals: Signals;
  /** What the proxies report, for Prometheus' API. */
  readonly series: NonNullable<MonitoringOptions["series"]>;
  readonly debug: NonNullable<MonitoringOptions["debug"]>;
  readonly programmed: Mesh["programmed"];
  readonly ca: Pick<Ca, "rootPem" | "servingCertificate">;
  close(): Promise<void>;
}

const { trustDomain } = defaultMesh;

/** Starts the mesh and resolves once it serves; what was started before an error is ended. */
export function startMeshRoom(options: MeshRoomOptions): Promise<MeshRoom> {
  return endInOrder((ends) => start(options, ends));
}

async function start(options: MeshRoomOptions, atEnd: Ends): Promise<Omit<MeshRoom, "close">> {
  const { client, informers, logger, host, addresses, injection, controllers = [] } = options;
  const clock = systemClock;
  await informers.watch(NamespaceKind, PodKind, CanaryKind, ...policyKinds);
  const ca = await startCa({
    client,
    informers,
    logger: logger.child({ room: "ca" }),
    clock,
    trustDomain,
    namespace: homeNamespace,
    addresses,
  });
  atEnd(() => ca.close());

  const policies = await startPolicies({
    informers,
    clock,
    patchStatus: createPatchStatus(client),
    logger: logger.child({ room: "policy" }),
    base: defaultMesh,
    jwksAllow: (process.env.FAIRLEAD_JWKS_ALLOW ?? "").split(",").filter((block) => block !== ""),
  });
  atEnd(() => policies.close());
  const mesh = await startMesh({
    informers,
    logger: logger.child({ room: "mesh" }),
    clock,
    policyFilters: policies.filtersOf,
    policyKinds,
    onPolicyChange: (listener) => policies.onChange(listener),
    onQuiet: trimHeap,
  });
  atEnd(() => mesh.close());
  const snapshot = () => informers.snapshot();
  atEnd(startStatus({ mesh, snapshot, patchStatus: createPatchStatus(client), clock, logger }));
  const proxies = injectionConfig(version, injection);
  const loopback = proxies.interception === "NONE";
  const reached = { loopback, noLoadBalancer: options.noLoadBalancer === true };
  atEnd(
    startGatewayStatus({ mesh, snapshot, patchStatus: createPatchStatus(client), clock, logger, reached }),
  );
  // Who may bind low ports on this machine lets users have the ports that they wrote.
  const lowPorts = loopback && process.getuid?.() === 0;
  atEnd(deployGateways({ mesh, snapshot, client, clock, logger, config: { ...proxies, lowPorts } }));
  const { signals, collector, series } = createSignals({ replica: hostname(), clock, cuts: mesh.cuts });
  const admit = admitBy(() => mesh.model().workloads, trustDomain);
  const forControllers = signalsService({
    signals,
    mesh,
    snapshot,
    authorize: admitControllers(controllers, { client, clock, trustDomain }),
    logger: logger.child({ room: "signals" }),
  });
  const grpc = await serveGrpc({
    plaintext: { host, port: ports.xds },
    tls: { host, port: ports.tls, credentials: ca.serverCredentials },
    services: [...mesh.services, ca.service, ...(controllers.length > 0 ? [forControllers] : [])],
  });
  atEnd(() => grpc.close());
  const otlp = await serveOtlp({
    host,
    port: ports.signals,
    tls: { rootPem: ca.rootPem, certificate: ca.servingCertificate },
    collector,
    admit,
    logger: logger.child({ room: "signals" }),
  });
  atEnd(() => otlp.close());
  const debug = createDebug(mesh, client);
  return { signals, series, debug, programmed: (route) => mesh.programmed(route), ca };
}
