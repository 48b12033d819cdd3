import { networkInterfaces } from "node:os";
import type { Command } from "commander";
import { systemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import { ports } from "../ports.ts";

interface ServeOptions {
  readonly rooms: string;
  readonly kubeconfig?: string;
  readonly discoveryAddress: string;
  readonly webhooks: string;
  readonly proxyImage?: string;
  readonly records?: string;
  readonly logLevel: string;
}

/** Adds `fairlead serve`: what the images of the Helm chart run. */
export function addServe(program: Command): void {
  program
    .command("serve")
    .description("run the control plane in a cluster (what the Helm chart starts)")
    .option(
      "--rooms <which>",
      "`control` (controller, mesh, certificate authority), `webhooks`, or `all`",
      "all",
    )
    .option("--kubeconfig <path>", "default: $KUBECONFIG, else the pod's own account")
    .option(
      "--discovery-address <host:port>",
      "where sidecars reach the mesh",
      `fairlead.istio-system.svc:${ports.tls}`,
    )
    .option(
      "--webhooks <namespace/service>",
      "where the API server reaches the webhooks",
      "istio-system/fairlead-webhooks",
    )
    .option("--proxy-image <image>", "image of the sidecar")
    .option("--records <folder>", "where runs are recorded for `fairlead analysis`; default: they are not")
    .option("--log-level <level>", "debug, info, warn or error", "info")
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const { rooms, kubeconfig, discoveryAddress, proxyImage } = options;
  if (!["all", "control", "webhooks"].includes(rooms))
    throw new Error(`--rooms \`${rooms}\`: say \`control\`, \`webhooks\` or \`all\``);
  const [namespace = "", name = ""] = options.webhooks.split("/");
  if (name === "")
    throw new Error(
      `--webhooks \`${options.webhooks}\`: say a namespace and a service, as in \`istio-system/fairlead-webhooks\``,
    );
  const logger = createLogger(options.logLevel);
  const [{ openCluster }, { startRooms }, { startWebhooksAlone }, { defaultMesh }] = await Promise.all([
    import("../open-cluster.ts"),
    import("../rooms.ts"),
    import("../webhooks.ts"),
    import("../../policy/compile/mesh.ts"),
  ]);
  const cluster = await openCluster(kubeconfig, logger);
  const webhooks = {
    at: { service: { namespace, name, port: 443 } },
    injection: { discoveryAddress, ...(proxyImage === undefined ? {} : { image: proxyImage }) },
  };
  const host = "0.0.0.0";
  const { trustDomain } = defaultMesh;
  const started =
    rooms === "webhooks"
      ? await startWebhooksAlone({ ...cluster, ...webhooks, host, logger, clock: systemClock, trustDomain })
      : await startRooms({
          ...cluster,
          logger,
          host,
          addresses: ownAddresses(),
          ...(rooms === "all" ? { webhooks } : {}),
          ...(options.records === undefined ? {} : { records: options.records }),
        });
  logger.info({ rooms }, "fairlead serves");
  await new Promise((done) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, done);
  });
  await started.close();
  await cluster.close();
  process.exit(0);
}

/** Under which sidecars may also reach this process. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list = []) =>
    list.filter(({ internal, family }) => !internal && family === "IPv4").map(({ address }) => address),
  );
}
