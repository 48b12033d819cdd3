import { fromBinary } from "@bufbuild/protobuf";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { type Node, NodeSchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { type ResourceType, resourceTypes, typeUrls } from "../build/resource.ts";
import type { View } from "../build/view.ts";
import { createFlow, type Flow, smallAnswer } from "./flow.ts";
import { createNameSets } from "./name-sets.ts";
import { type DeltaRequest, readDeltaRequest } from "./request.ts";
import { createResponses } from "./response.ts";
import { createStateStream, readStateRequest, type StateRequest } from "./state-of-the-world.ts";
import {
  type Acknowledgement,
  createDeltaStream,
  type ProxyStream,
  type Rejection,
  type StreamOptions,
} from "./stream.ts";

type Call = ServerDuplexStream<Buffer, Buffer>;

/** Who connects. */
export interface Peer {
  /** What it says it is. */
  readonly node: Node;
  readonly transport: "plaintext" | "tls";
  /** Of its verified client certificate, as Node prints it. */
  readonly subjectAltName: string | undefined;
  readonly address: string;
}

export interface AdsOptions<Proxy> {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Recognises a proxy, or says why it is refused. */
  readonly recognise: (peer: Peer) => Proxy | { readonly refused: string };
  readonly viewOf: (proxy: Proxy) => View;
  readonly onConnected?: (proxy: Proxy) => void;
  readonly onClosed?: (proxy: Proxy) => void;
  readonly onAcknowledged?: (proxy: Proxy, acknowledgement: Acknowledgement) => void;
  readonly onRejected?: (proxy: Proxy, rejection: Rejection) => void;
  /** A proxy names what it wants or holds, before it is answered. */
  readonly onAsked?: (
    proxy: Proxy,
    stream: ProxyStream,
    type: ResourceType,
    names: readonly string[],
  ) => void;
  readonly removalDelay?: number;
  readonly patience?: number;
  /** Called when a crowd of proxies has got its first answers: much memory is garbage then. */
  readonly onQuiet?: () => void;
}

/** A proxy and its open stream. */
export interface Connected<Proxy> {
  readonly proxy: Proxy;
  readonly stream: ProxyStream;
  /** Epoch milliseconds. */
  readonly since: number;
}

/** One of the protocol's two forms. */
interface Protocol<Request> {
  readonly read: (bytes: Uint8Array) => Request;
  readonly open: (
    first: View,
    options: StreamOptions,
  ) => ProxyStream & { request(type: ResourceType, request: Request): void };
}

const delta: Protocol<DeltaRequest> = { read: readDeltaRequest, open: createDeltaStream };
const stateOfTheWorld: Protocol<StateRequest> = { read: readStateRequest, open: createStateStream };

const typesByUrl = new Map<string, ResourceType>(resourceTypes.map((type) => [typeUrls[type], type]));

/** The discovery service: one state machine a stream, one view a proxy. */
export function createAds<Proxy extends object>(options: AdsOptions<Proxy>) {
  const { clock, logger, recognise, viewOf } = options;
  const responses = createResponses();
  const nameSets = createNameSets();
  const connections = new Set<Connected<Proxy>>();
  const flow = createFlow({
    clock,
    onQuiet() {
      responses.forget();
      options.onQuiet?.();
    },
  });

  /** Runs the handler of one message: what it throws ends this stream alone. */
  function guarded(call: Call, handle: () => void): void {
    try {
      handle();
    } catch (error) {
      logger.error({ error, peer: call.getPeer() }, "xds stream failed");
      call.emit("error", { code: status.INTERNAL, details: "message could not be handled" });
    }
  }

  function connect<Request>(
    call: Call,
    outlet: Outlet,
    nodeBytes: Uint8Array | undefined,
    { open }: Protocol<Request>,
  ): (Connected<Proxy> & { readonly stream: ReturnType<Protocol<Request>["open"]> }) | undefined {
    if (nodeBytes === undefined) {
      call.emit("error", { code: status.INVALID_ARGUMENT, details: "first request carries no node" });
      return undefined;
    }
    const node = fromBinary(NodeSchema, nodeBytes);
    const proxy = recognise(peerOf(call, node));
    if ("refused" in proxy) {
      logger.warn({ node: node.id, peer: call.getPeer(), reason: proxy.refused }, "proxy refused");
      call.emit("error", { code: status.PERMISSION_DENIED, details: proxy.refused });
      return undefined;
    }
    const stream: ReturnType<typeof open> = open(viewOf(proxy), {
      responses,
      nameSets,
      clock,
      isOpen: outlet.isOpen,
      write: outlet.write,
      onAcknowledged: (acknowledgement) => options.onAcknowledged?.(proxy, acknowledgement),
      onRejected: (rejection) => options.onRejected?.(proxy, rejection),
      onAsked: (type, names) => options.onAsked?.(proxy, stream, type, names),
      ...(options.removalDelay !== undefined && { removalDelay: options.removalDelay }),
      ...(options.patience !== undefined && { patience: options.patience }),
    });
    const connected = { proxy, stream, since: clock.now() };
    connections.add(connected);
    logger.debug({ node: node.id, peer: call.getPeer() }, "proxy connected");
    options.onConnected?.(proxy);
    return connected;
  }

  function serve<Request extends { readonly node: Uint8Array | undefined; readonly typeUrl: string }>(
    call: Call,
    protocol: Protocol<Request>,
  ): void {
    let connected: ReturnType<typeof connect<Request>>;
    let closed = false;
    const outlet = createOutlet(call, flow, () => guarded(call, () => connected?.stream.drained()));
    const close = () => {
      closed = true;
      outlet.close();
      if (connected === undefined || !connections.delete(connected)) return;
      connected.stream.close();
      options.onClosed?.(connected.proxy);
    };
    call.on("data", (bytes: Buffer) =>
      guarded(call, () => {
        if (closed) return;
        const request = protocol.read(bytes);
        connected ??= connect(call, outlet, request.node, protocol);
        if (connected === undefined) return close();
        const type = typesByUrl.get(request.typeUrl);
        // Types that we do not serve stay unanswered: Envoy goes on after its own initial_fetch_timeout.
        if (type !== undefined) connected.stream.request(type, request);
      }),
    );
    call.on("end", () => {
      close();
      call.end();
    });
    call.on("cancelled", close);
    call.on("error", close);
    call.on("close", close);
  }

  return {
    implementation: {
      DeltaAggregatedResources: (call: Call) => serve(call, delta),
      StreamAggregatedResources: (call: Call) => serve(call, stateOfTheWorld),
    },
    /** Tells every connected proxy what has changed for it. One failing stream never keeps others from theirs. */
    publish(): void {
      for (const { proxy, stream } of connections) {
        try {
          stream.publish(viewOf(proxy));
        } catch (error) {
          logger.error({ error }, "view could not be published to a proxy");
        }
      }
    },
    connections: (): ReadonlySet<Connected<Proxy>> => connections,
  };
}

/** Where one stream's answers leave. */
interface Outlet {
  /** Whether a large answer may leave now; where not, `drained` says when. */
  isOpen(this: void): boolean;
  write(this: void, bytes: Buffer): void;
  close(): void;
}

/** Writes to `call`; open while both its own socket and all streams together take more. */
function createOutlet(call: Call, flow: Flow, drained: () => void): Outlet {
  const ends = new Set<() => void>();
  let cancelWait: (() => void) | undefined;
  call.on("drain", drained);
  return {
    isOpen() {
      if (call.writableNeedDrain) return false;
      if (!flow.isFull) return true;
      cancelWait ??= flow.whenOpen(() => {
        cancelWait = undefined;
        drained();
      });
      return false;
    },
    write(bytes) {
      if (bytes.length < smallAnswer) return void call.write(bytes);
      const taken = flow.take(bytes.length);
      const end = () => {
        ends.delete(end);
        taken();
      };
      ends.add(end);
      call.write(bytes, end);
    },
    close() {
      cancelWait?.();
      for (const end of ends) end();
    },
  };
}

function peerOf(call: Call, node: Node): Peer {
  const { transportSecurityType, sslPeerCertificate } = call.getAuthContext();
  return {
    node,
    transport: transportSecurityType === undefined ? "plaintext" : "tls",
    subjectAltName: sslPeerCertificate?.subjectaltname,
    address: call.getPeer(),
  };
}
