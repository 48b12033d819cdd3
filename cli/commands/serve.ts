import { networkInterfaces } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { ControllerSettings } from "../../controller/settings.ts";
import { createLogger } from "../../lib/log.ts";
import { mountResolver } from "../../lib/mounts.ts";
import type { RegisterOptions } from "../../webhooks/admission/register.ts";
import type { AlertsOptions } from "../../webhooks/alerts/send.ts";
import { UsageError } from "../failure.ts";
import { logLevelOption } from "../output/log-level.ts";
import { ports } from "../rooms/ports.ts";

interface ServeOptions {
  readonly rooms: string;
  readonly kubeconfig?: string;
  readonly host: string;
  readonly mesh: string;
  readonly meshTokenFile: string;
  readonly controllers: string;
  readonly meshProvider: "istio" | "kubernetes";
  readonly metricsServer?: string;
  readonly maxRollouts?: number;
  readonly namespace?: string;
  readonly crossNamespaceRefs: boolean;
  readonly selectorLabels?: string;
  readonly includeLabelPrefix?: string;
  readonly discoveryAddress: string;
  readonly webhooks: string;
  readonly webhooksCertificate?: string;
  readonly proxyImage?: string;
  readonly interception: "NONE" | "REDIRECT";
  readonly records?: string;
  readonly slackUrl?: string;
  readonly clusterName?: string;
  readonly slackChannel: string;
  readonly slackUser: string;
  readonly msteamsUrl?: string;
  readonly eventWebhook?: string;
  readonly shards: number;
  readonly logLevel: string;
}

const rooms = ["controller", "mesh", "webhooks", "all"] as const;
type Room = (typeof rooms)[number];

/** Adds `fairlead serve`: what the image of the Helm chart runs. */
export function addServe(program: Command): void {
  program
    .command("serve")
    .description("run the control plane in a cluster (what the Helm chart starts)")
    .option(
      "--rooms <which>",
      "`controller`, `mesh` (with the certificate authority), `webhooks`, or `all`",
      "all",
    )
    .option("--kubeconfig <path>", "default: $KUBECONFIG, else the pod's own account")
    .option("--host <address>", "address to listen on", "0.0.0.0")
    .option(
      "--mesh <host:port>",
      "for the controller: where it reaches the mesh; a name of several addresses is all its replicas",
      `fairlead.istio-system.svc:${ports.tls}`,
    )
    .option(
      "--mesh-token-file <path>",
      "for the controller: its service account's token for audience `fairlead-mesh`",
      "/var/run/secrets/fairlead/mesh-token",
    )
    .addOption(
      new Option("--mesh-provider <name>", "for the controller: provider of Canaries that name none")
        .choices(["istio", "kubernetes", "gatewayapi:v1", "gatewayapi:v1beta1", "linkerd", "nginx"])
        .default("istio"),
    )
    .option("--metrics-server <url>", "for the controller: Prometheus of Canaries that name none")
    .option(
      "--max-rollouts <number>",
      "for the controller: rollouts under way at the same time at most",
      positiveNumber,
    )
    .option("--namespace <name>", "for the controller: only Canaries of this namespace")
    .option(
      "--selector-labels <names>",
      "for the controller: labels that tell a target's pods (comma between)",
    )
    .option(
      "--include-label-prefix <prefixes>",
      "for the controller: labels that generated objects take over (comma between; `*` = all)",
    )
    .option(
      "--no-cross-namespace-refs",
      "for the controller and the webhooks: Canaries may name templates and alert providers of their own namespace only",
    )
    .option(
      "--controllers <accounts>",
      "for the mesh: service accounts (namespace/name, comma between) that may read its signals",
      "istio-system/fairlead-controller",
    )
    .option(
      "--discovery-address <host:port>",
      "for the webhooks: where sidecars reach the mesh",
      `fairlead.istio-system.svc:${ports.tls}`,
    )
    .option(
      "--webhooks <service>",
      "where the API server reaches the webhooks: namespace/service, or an https:// URL",
      "istio-system/fairlead-webhooks",
    )
    .option(
      "--webhooks-certificate <folder>",
      "for the webhooks: folder with tls.crt, tls.key and ca.crt; default a certificate of their own",
    )
    .option("--proxy-image <image>", "for the webhooks: image of the sidecar")
    .addOption(
      new Option(
        "--interception <mode>",
        "for the webhooks: REDIRECT (iptables rules in each pod) or NONE (applications use the sidecar as HTTP proxy)",
      )
        .choices(["REDIRECT", "NONE"])
        .default("REDIRECT"),
    )
    .option(
      "--records <where>",
      "for the controller: where runs are recorded for `fairlead analysis`: a folder, or `configmaps` (the last three of a Canary, beside it); default: they are not",
    )
    .option(
      "--slack-url <url>",
      "for the controller: Slack webhook for Canaries without alerts of their own ($SLACK_URL wins)",
    )
    .option("--cluster-name <name>", "for the controller: named in alerts")
    .option("--slack-channel <name>", "for the controller: its channel", "general")
    .option("--slack-user <name>", "for the controller: its sender", "flagger")
    .option("--msteams-url <url>", "for the controller: the same for Microsoft Teams ($MSTEAMS_URL wins)")
    .option(
      "--event-webhook <url>",
      "for the controller: told the events of Canaries without an event hook ($EVENT_WEBHOOK_URL wins)",
    )
    .addOption(
      new Option("--shards <n>", "for the controller: replicas that share the Canaries, by Leases")
        .argParser(readShards)
        .default(1),
    )
    .addOption(logLevelOption("info"))
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const room = roomOf(options.rooms);
  const at = webhooksAt(options.webhooks);
  const logger = createLogger(options.logLevel);
  const { openCluster } = await import("../open-cluster.ts");
  const cluster = await openCluster(options.kubeconfig, logger);
  const { host } = options;
  const addresses = host === "0.0.0.0" ? ownAddresses() : [host];
  const mounted = mountResolver(process.env.FAIRLEAD_MOUNTS);
  const { discoveryAddress, interception, proxyImage } = options;
  const { crossNamespaceRefs } = options;
  const webhooks = {
    defaults: { crossNamespaceRefs },
    at,
    injection: { discoveryAddress, interception, ...(proxyImage === undefined ? {} : { image: proxyImage }) },
  };
  const records = options.records === undefined ? {} : { records: options.records };
  const receiver = receiverOf(options);
  const alerts = receiver === undefined ? {} : { alerts: receiver };
  const shared = { ...cluster, logger, host, addresses };
  const start: Readonly<Record<Room, () => Promise<{ close(): Promise<void> }>>> = {
    async all() {
      const { startRooms } = await import("../rooms/all.ts");
      return startRooms({
        access: { controller: cluster, mesh: cluster, webhooks: cluster },
        settings: settingsOf(options),
        ...records,
        ...alerts,
        shards: options.shards,
        logger,
        host,
        addresses,
        webhooks,
      });
    },
    async mesh() {
      const { startMeshAlone } = await import("../rooms/alone.ts");
      return startMeshAlone({
        ...shared,
        injection: webhooks.injection,
        controllers: options.controllers.split(","),
      });
    },
    async controller() {
      const { startControllerAlone } = await import("../rooms/alone.ts");
      return startControllerAlone({
        ...shared,
        mesh: options.mesh,
        tokenFile: mounted(options.meshTokenFile),
        settings: settingsOf(options),
        ...records,
        ...alerts,
        shards: options.shards,
      });
    },
    async webhooks() {
      const { startWebhooksAlone } = await import("../rooms/webhooks.ts");
      const { webhooksCertificate: folder } = options;
      return startWebhooksAlone({
        ...shared,
        ...webhooks,
        ...(folder === undefined ? {} : { certificateFolder: mounted(folder) }),
      });
    },
  };
  // While it waits for an API server that is away, nothing else keeps the process alive.
  const alive = setInterval(() => undefined, 60_000);
  const started = await start[room]().catch(async (error: unknown) => {
    // Its watches would keep the process alive, and the kubelet starts it again only when it has ended.
    await cluster.close();
    throw error;
  });
  logger.info({ rooms: room }, "fairlead serves");
  await new Promise((done) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, done);
  });
  clearInterval(alive);
  await started.close();
  await cluster.close();
  process.exit(0);
}

function roomOf(text: string): Room {
  const room = rooms.find((name) => name === text);
  if (room === undefined)
    throw new UsageError(`--rooms \`${text}\`: say ${rooms.map((name) => `\`${name}\``).join(", ")}`);
  return room;
}

/** @throws InvalidArgumentError unless it is a whole number above 0 */
function positiveNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError(`\`${text}\` is not a whole number above 0`);
  return Number(text);
}

function settingsOf(options: ServeOptions): Partial<ControllerSettings> {
  const { meshProvider, metricsServer, maxRollouts, namespace, selectorLabels, includeLabelPrefix } = options;
  const { clusterName } = options;
  const eventWebhook = process.env.EVENT_WEBHOOK_URL || options.eventWebhook;
  return {
    crossNamespaceRefs: options.crossNamespaceRefs,
    ...(eventWebhook && { eventWebhook }),
    meshProvider,
    ...(metricsServer !== undefined && { metricsServer }),
    ...(maxRollouts !== undefined && { maxRollouts }),
    ...(clusterName !== undefined && { clusterName }),
    ...(namespace !== undefined && { namespace }),
    ...(selectorLabels !== undefined && { selectorLabels: selectorLabels.split(",") }),
    ...(includeLabelPrefix !== undefined && { includeLabelPrefixes: includeLabelPrefix.split(",") }),
  };
}

/** Who is told of Canaries that name no receiver; Flagger's environment variables win over the flags. */
function receiverOf(options: ServeOptions): AlertsOptions["fallback"] {
  const { slackChannel: channel, slackUser: username } = options;
  const slack = process.env.SLACK_URL || options.slackUrl;
  const teams = process.env.MSTEAMS_URL || options.msteamsUrl;
  const token = process.env.SLACK_TOKEN;
  const shared = { channel, username, severity: "info" } as const;
  if (slack) return { ...shared, type: "slack", address: slack, ...(token && { token }) };
  return teams ? { ...shared, type: "msteams", address: teams } : undefined;
}

function readShards(text: string): number {
  const shards = Number(text);
  if (!Number.isInteger(shards) || shards < 1 || shards > 64)
    throw new InvalidArgumentError("say a whole number from 1 to 64.");
  return shards;
}

function webhooksAt(text: string): RegisterOptions["at"] {
  if (/^https:\/\/[^/]+$/.test(text)) return { url: text };
  const [, namespace, name] = /^([a-z0-9-]+)\/([a-z0-9-]+)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined)
    throw new Error(
      `--webhooks \`${text}\`: say a namespace and a service, as in \`istio-system/fairlead-webhooks\`, or a URL such as \`https://10.0.0.1:${ports.webhooks}\``,
    );
  return { service: { namespace, name, port: 443 } };
}

/** Under which others may reach this process. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list = []) =>
    list.filter(({ internal, family }) => !internal && family === "IPv4").map(({ address }) => address),
  );
}
