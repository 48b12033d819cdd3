/** Builds the rooms of a control plane on an API server and passes each what it needs. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createRecordStore } from "../analysis/record/store.ts";
import { createAnalyst } from "../analysis/watch.ts";
import { NamespaceKind, PodKind } from "../api/core.ts";
import { CanaryKind } from "../api/kinds.ts";
import { type Controller, startController } from "../controller/start.ts";
import type { Client, Informers, Recorder } from "../kube/contract.ts";
import { startLease } from "../kube/lease.ts";
import { createPatchStatus } from "../kube/patch-status.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { createRegistry } from "../lib/metrics.ts";
import { startCa } from "../mesh/ca/run.ts";
import { startPolicies } from "../mesh/policies.ts";
import { policyKinds } from "../mesh/policy-filters.ts";
import { attemptsService } from "../mesh/signals/attempts-service.ts";
import { admitBy } from "../mesh/signals/authorize.ts";
import { serveReports } from "../mesh/signals/report-server.ts";
import { createSignals } from "../mesh/signals/signals.ts";
import { startMesh } from "../mesh/start.ts";
import { startStatus } from "../mesh/status.ts";
import { serveGrpc } from "../mesh/xds/serve.ts";
import { defaultMesh } from "../policy/compile/mesh.ts";
import { createHooks } from "../webhooks/hooks/call.ts";
import { ports } from "./ports.ts";
import { homeNamespace } from "./up/install.ts";
import { serveMonitoring } from "./up/monitoring.ts";
import { startWebhooks, type WebhooksAccess, type WebhooksOptions } from "./webhooks.ts";

const { trustDomain } = defaultMesh;

export interface RoomsOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly recorder: Recorder;
  readonly logger: Logger;
  /** The client of the controller alone, where it is another: tests cut it off or kill at a write. */
  readonly controllerClient?: Client;
  /** Address that everything binds. */
  readonly host: string;
  /** Folder of the records of runs; none are kept where absent. */
  readonly records?: string;
  /** IP addresses under which clients reach the control plane. */
  readonly addresses: readonly string[];
  /** The admission webhooks, with an account of their own where they have one; absent where another program serves them. */
  readonly webhooks?: Pick<WebhooksOptions, "at" | "injection"> & Partial<WebhooksAccess>;
}

export interface Rooms {
  /** Takes no more steps; everything else goes on. */
  stopController(): Promise<void>;
  close(): Promise<void>;
}

/** Starts everything and resolves once it serves; what was started before an error is ended. */
export async function startRooms(options: RoomsOptions): Promise<Rooms> {
  const ends: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const controller = await start(options, (end) => ends.push(end));
    return { close, stopController: () => controller.close() };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  { client, informers, recorder, logger, host, ...options }: RoomsOptions,
  atEnd: (end: () => Promise<void> | void) => void,
): Promise<Controller> {
  const clock = systemClock;
  await informers.watch(NamespaceKind, PodKind, CanaryKind, ...policyKinds);
  const ca = await startCa({
    client,
    informers,
    logger: logger.child({ room: "ca" }),
    clock,
    trustDomain,
    namespace: homeNamespace,
    addresses: options.addresses,
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
    onPolicyChange: policies.onChange,
  });
  atEnd(() => mesh.close());
  atEnd(
    startStatus({
      mesh,
      snapshot: () => informers.snapshot(),
      patchStatus: createPatchStatus(client),
      clock,
      logger,
    }),
  );
  const { signals, collector, series } = createSignals({
    replica: "local",
    clock,
    cuts: mesh.cuts,
  });
  const admit = admitBy(() => mesh.model().workloads, trustDomain);
  const grpc = await serveGrpc({
    plaintext: { host, port: ports.xds },
    tls: { host, port: ports.tls, credentials: ca.serverCredentials },
    services: [...mesh.services, ca.service, attemptsService(collector, admit, logger)],
  });
  atEnd(() => grpc.close());
  const reports = await serveReports({
    host,
    port: ports.signals,
    tls: { rootPem: ca.rootPem, certificate: ca.servingCertificate },
    collector,
    admit,
    logger: logger.child({ room: "signals" }),
  });
  atEnd(() => reports.close());

  if (options.webhooks !== undefined) {
    const webhooks = await startWebhooks({
      ...{ client, informers, host, ...options.webhooks },
      certificate: ca.servingCertificate,
      rootPem: ca.rootPem,
      logger: logger.child({ room: "webhooks" }),
    });
    atEnd(() => webhooks.close());
  }

  const analysisLogger = logger.child({ room: "analysis" });
  const { records } = options;
  const analyst = createAnalyst({
    ...{ signals, clock, logger: analysisLogger },
    records: records === undefined ? undefined : createRecordStore(records, clock, analysisLogger),
  });
  atEnd(() => analyst.close());
  let controller: Controller | undefined;
  const lease = startLease(client, {
    namespace: homeNamespace,
    name: "fairlead-controller-0",
    holder: `${hostname()}-${randomBytes(4).toString("hex")}`,
    logger,
    // What became due while another held it is not left for the next tick.
    onChange: (held) => held && controller?.resync(),
  });
  atEnd(() => lease.release());
  const hooks = createHooks({ logger: logger.child({ room: "hooks" }), clock });
  atEnd(() => hooks.close());
  const registry = createRegistry();
  const monitoring = await serveMonitoring({
    host,
    port: ports.monitoring,
    text: () => registry.text(),
    series,
    clock,
    logger: logger.child({ room: "monitoring" }),
  });
  atEnd(() => monitoring.close());
  const started = await startController({
    client: options.controllerClient ?? client,
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
  controller = started;
  atEnd(() => started.close());
  return started;
}
