/** One real Envoy on our own ADS, and what our side knows of it: the same view for both. */
import { readFileSync, rmSync } from "node:fs";
import { create, fromBinary } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import type { KubeObject } from "../../../api/resource.ts";
import { AccessLogSchema } from "../../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import { ListenerSchema } from "../../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { FileAccessLogSchema } from "../../../envoy/generated/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { snapshotOf } from "../../../kube/snapshot.ts";
import { systemClock } from "../../../lib/clock.ts";
import { silent } from "../../../lib/log.ts";
import { createBuilder } from "../../../mesh/build/builder.ts";
import { encodeResource } from "../../../mesh/build/resource.ts";
import { type ResourceSet, resourceSet } from "../../../mesh/build/resource-set.ts";
import { emptyView, type View } from "../../../mesh/build/view.ts";
import { noPolicies } from "../../../mesh/build/workload-filters.ts";
import { type ProxyResources, resourcesOf } from "../../../mesh/explain/resources.ts";
import { defaultSettings, type Model } from "../../../mesh/model/model.ts";
import { type Proxy, readNode } from "../../../mesh/model/proxy.ts";
import { bootstrapFor } from "../../../mesh/testbed/ads-bootstrap.ts";
import { createTranslator } from "../../../mesh/translate/translate.ts";
import { createAds } from "../../../mesh/xds/ads.ts";
import { adsDefinition } from "../../../mesh/xds/definition.ts";
import { serveGrpc } from "../../../mesh/xds/serve.ts";
import { freePort, startEnvoy } from "../../support/envoy.ts";
import { logFields } from "./log.ts";

/** Nodes that are asked: a sidecar behind iptables, one that is an HTTP proxy. */
export type Mode = "REDIRECT" | "NONE";

export interface Loaded {
  readonly model: Model;
  readonly proxy: Proxy;
  readonly resources: ProxyResources;
}

export interface World {
  readonly mode: Mode;
  /** Where its proxy takes connections; a PROXY header says where they were meant for in mode REDIRECT. */
  readonly port: number;
  /** Makes the proxy hold what these objects mean, and nothing else. @throws with Envoy's words where it refuses */
  load(objects: readonly KubeObject[]): Promise<Loaded>;
  /** What the access log has gained since the last call: so many lines, or what came in a while. */
  readLog(lines: number): Promise<string>;
  stop(): Promise<void>;
}

const patience = 20_000;
const proxyProtocol = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol";

/** Starts an Envoy that follows our view of one proxy. */
export async function startWorld(mode: Mode, ip: string): Promise<World> {
  const httpProxyPort = await freePort(ip);
  const port = mode === "NONE" ? httpProxyPort : await freePort();
  const node = nodeOf(mode, ip, httpProxyPort);
  const proxy = readNode(node);
  if ("refused" in proxy) throw new Error(proxy.refused);
  const file = `/tmp/fairlead-fuzz-route-${process.pid}-${mode}.log`;
  const translate = createTranslator(defaultSettings);
  const log = fileLog(file);
  const builder = createBuilder({
    policyFilters: () => noPolicies,
    telemetry: {
      inboundAccessLogs: () => [],
      outboundAccessLogs: () => [log],
      upstreamAttemptLogs: () => [],
    },
  });
  let view: View = emptyView;
  let refused: string | undefined;
  const ads = createAds<Proxy>({
    clock: systemClock,
    logger: silent,
    recognise: () => proxy,
    viewOf: () => view,
    onRejected: (_, { type, error }) => {
      refused = `${type}: ${error}`;
    },
    removalDelay: 0,
  });
  const server = await serveGrpc({
    plaintext: { host: "127.0.0.1", port: 0 },
    services: [{ definition: adsDefinition, implementation: ads.implementation }],
  });
  const bootstrap = bootstrapFor({ node, xdsPort: server.ports.plaintext ?? 0, layer: true });
  const envoy = await startEnvoy(bootstrap, 30_000, ["--file-flush-interval-msec", "100"]);
  let read = 0;
  return {
    mode,
    port,
    async load(objects) {
      const { model } = translate(snapshotOf(objects));
      const made = builder.viewOf(model, proxy);
      refused = undefined;
      view = mode === "REDIRECT" ? withEntry(made, port) : made;
      ads.publish();
      const deadline = Date.now() + patience;
      for (;;) {
        const [connected] = ads.connections();
        if (refused !== undefined) throw new Error(`Envoy refused ${String(refused)}`);
        const holds = connected?.stream.holds("cluster", "endpoint", "listener", "route", "runtime");
        if (holds && (await isWarm(envoy.admin, view))) break;
        if (Date.now() > deadline)
          throw new Error(`Envoy does not hold the view:\n${envoy.log().slice(-2000)}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return { model, proxy, resources: resourcesOf(made) };
    },
    async readLog(lines) {
      const deadline = Date.now() + patience;
      let gained = "";
      // The log is flushed by a thread of its own.
      while (gained.split("\n").length <= lines && Date.now() < deadline) {
        await fetch(`http://${envoy.admin}/reopen_logs`, { method: "POST" });
        gained = readFileSync(file, "utf8").slice(read);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      read += gained.length;
      return gained;
    },
    async stop() {
      await envoy.stop();
      server.close();
      rmSync(file, { force: true });
    },
  };
}

function nodeOf(
  mode: Mode,
  ip: string,
  httpProxyPort: number,
): Parameters<typeof readNode>[0] & { cluster: string } {
  return {
    id: `sidecar~${ip}~caller-1.demo~demo.svc.cluster.local`,
    cluster: "caller.demo",
    metadata: {
      NAMESPACE: "demo",
      NAME: "caller-1",
      WORKLOAD_NAME: "caller",
      LABELS: { app: "caller", tier: "web" },
      SERVICE_ACCOUNT: "caller",
      INTERCEPTION_MODE: mode,
      HTTP_PROXY_PORT: String(httpProxyPort),
    },
  };
}

function fileLog(path: string) {
  const config = {
    path,
    accessLogFormat: {
      case: "logFormat" as const,
      value: {
        format: {
          case: "textFormatSource" as const,
          value: { specifier: { case: "inlineString" as const, value: `${logFields.join("\t")}\n` } },
        },
      },
    },
  };
  return create(AccessLogSchema, {
    name: "envoy.access_loggers.file",
    configType: {
      case: "typedConfig",
      value: anyPack(FileAccessLogSchema, create(FileAccessLogSchema, config)),
    },
  });
}

/** Puts the place of iptables: the catching listener on a free port, with the destination from a PROXY header. */
function withEntry(view: View, port: number): View {
  const changed = (set: ResourceSet): ResourceSet =>
    resourceSet(
      Array.from(set.values(), (resource) => {
        const listener = fromBinary(ListenerSchema, fromBinary(AnySchema, resource.any).value);
        if (listener.name === "virtualInbound") return undefined;
        if (listener.name !== "virtualOutbound") return resource;
        const socket = listener.address?.address;
        if (socket?.case !== "socketAddress") throw new Error("virtualOutbound has no address");
        socket.value.address = "127.0.0.1";
        socket.value.portSpecifier = { case: "portValue", value: port };
        listener.listenerFilters.unshift({
          ...{ $typeName: "envoy.config.listener.v3.ListenerFilter", name: "proxy_protocol" },
          configType: { case: "typedConfig", value: create(AnySchema, { typeUrl: proxyProtocol }) },
        });
        return encodeResource("listener", listener.name, ListenerSchema, listener);
      }).filter((resource) => resource !== undefined),
    );
  const listener = view.resources.listener.map(changed);
  return { ...view, plainRoutes: view.plainRoutes, resources: { ...view.resources, listener } };
}

/** An ACK comes before listeners are warm: they count once they are active. */
async function isWarm(admin: string, view: View): Promise<boolean> {
  const names = view.resources.listener.flatMap((set) => [...set.keys()]);
  const text = await fetch(
    `http://${admin}/stats?filter=listener_manager.total_listeners_(active|warming)`,
  ).then((answer) => answer.text());
  const value = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(text)?.[1] ?? -1);
  return value("total_listeners_warming") === 0 && value("total_listeners_active") >= names.length - 1;
}
