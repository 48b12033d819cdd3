import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EndpointSliceKind, ServiceKind } from "../../../api/core.ts";
import type { Informers } from "../../../kube/contract.ts";
import { createQueue } from "../../../kube/queue.ts";
import type { Logger } from "../../../lib/log.ts";
import type { Network } from "../address.ts";
import { keepNameServer, stopNameServer } from "./dns/start.ts";
import { buildZone } from "./dns/zone.ts";
import { stopHolder } from "./holder.ts";
import { gatewayOf, openNodeNamespace, removeLink, uplinkOf } from "./node-namespace.ts";
import type { PodNetwork } from "./pod-network.ts";
import { run } from "./run.ts";
import { closeSandbox, findSandbox, openSandbox } from "./sandbox.ts";
import { serviceRules } from "./service-rules.ts";
import { sweepOrphans } from "./sweep.ts";

export interface NamespacesOptions {
  readonly dataDir: string;
  readonly range: Network;
  readonly logger: Logger;
}

/** Pods in namespaces, once Services are followed. */
export interface NamespaceNetwork extends PodNetwork {
  /** Makes ClusterIPs and names follow the Services of an API server; resolves when the first ones are in place. */
  follow(informers: Informers): Promise<void>;
}

/** Milliseconds in which changes of Services are gathered. */
const gather = 30;

/** Where a data folder keeps the state of its namespaces; it is there as long as they are. */
export function namespacesFolder(dataDir: string): string {
  return join(dataDir, "network");
}

function foldersOf(dataDir: string) {
  const root = namespacesFolder(dataDir);
  return {
    root,
    uplink: join(root, "uplink"),
    node: join(root, "node"),
    names: join(root, "dns"),
    zone: join(root, "zone", "zone.json"),
  };
}

/**
 * Opens the data path in which each pod has a network namespace: the machine's link to the node's namespace, and what
 * earlier starts have left behind.
 *
 * @throws Error with one line that says what is missing
 */
export async function openNamespaces({
  dataDir,
  range,
  logger,
}: NamespacesOptions): Promise<NamespaceNetwork> {
  const swept = sweepOrphans();
  if (swept > 0) logger.info({ swept }, "ended processes of data folders that are gone");
  const folders = foldersOf(dataDir);
  mkdirSync(join(folders.zone, ".."), { recursive: true });
  writeWhole(folders.uplink, uplinkOf(range));
  const node = await openNodeNamespace(folders.node, range);
  const gateway = gatewayOf(range);
  const inNode = (program: string, args: readonly string[], input: string) =>
    run("nsenter", [`--net=/proc/${node.pid}/ns/net`, "--", program, ...args], input);
  const ends: (() => Promise<void> | void)[] = [];
  let rulesBefore = "";
  let zoneBefore = "";

  async function apply(informers: Informers): Promise<void> {
    const snapshot = informers.snapshot();
    const services = snapshot.list(ServiceKind);
    const slices = snapshot.list(EndpointSliceKind);
    const zone = JSON.stringify(buildZone(services, slices));
    if (zone !== zoneBefore) writeWhole(folders.zone, zone);
    zoneBefore = zone;
    const rules = serviceRules(services, slices);
    if (rules !== rulesBefore) await inNode("iptables-restore", ["-w", "5"], rules);
    rulesBefore = rules;
  }

  async function stopFollowing(): Promise<void> {
    for (const end of ends.splice(0).reverse()) await end();
  }

  return {
    mode: "netns",
    range,
    attach: (pod) => openSandbox({ pod, node, gateway, nameserver: gateway }),
    find: findSandbox,
    detach: closeSandbox,
    async follow(informers) {
      await informers.watch(ServiceKind, EndpointSliceKind);
      await apply(informers);
      const queue = createQueue({ process: () => apply(informers), logger, concurrency: 1 });
      const changed = () => queue.addAfter("services", gather);
      const stops = [
        informers.onChange(ServiceKind, changed),
        informers.onChange(EndpointSliceKind, changed),
      ];
      ends.push(() => queue.close(), ...stops);
      ends.push(
        await keepNameServer({
          ...{ folder: folders.names, namespaceOf: node.pid, address: gateway, logger },
          zoneFile: folders.zone,
        }),
      );
    },
    async close() {
      await stopFollowing();
      // Nothing is connected, so nothing needs it: a start that failed leaves nothing behind.
      if (!hasPods(dataDir)) await destroyNamespaces(dataDir);
    },
    async destroy() {
      await stopFollowing();
      await destroyNamespaces(dataDir);
    },
  };
}

function hasPods(dataDir: string): boolean {
  const pods = join(dataDir, "pods");
  return existsSync(pods) && readdirSync(pods, { withFileTypes: true }).some((item) => item.isDirectory());
}

/** The namespaces that a control plane which is gone has left: pods are found there, and none is added. */
export function leftNamespaces(dataDir: string, range: Network): PodNetwork {
  return {
    mode: "netns",
    range,
    attach: () => Promise.reject(new Error("the control plane is being stopped")),
    find: findSandbox,
    detach: closeSandbox,
    close: async () => undefined,
    destroy: () => destroyNamespaces(dataDir),
  };
}

/** Takes away what a data folder's network has made, whether its control plane still runs or not. Pods go by their folders. */
export async function destroyNamespaces(dataDir: string): Promise<void> {
  const folders = foldersOf(dataDir);
  if (!existsSync(folders.root)) return;
  stopNameServer(folders.names);
  stopHolder(folders.node);
  if (existsSync(folders.uplink)) await removeLink(readFileSync(folders.uplink, "utf8"));
  rmSync(folders.root, { recursive: true, force: true, maxRetries: 3 });
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}
