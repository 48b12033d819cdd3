/** The route of a run behind a shield, and what its callers' proxies say of it. */
import { type RunMark, runAnnotation, type Shield } from "../../../api/annotations.ts";
import type { UnreadObject } from "../../../api/resource.ts";
import type { Attempt, Run, Signal, Signals, Window } from "../../../api/signals.ts";

/** Of the run, where a test asks for no other. */
export const shield: Shield = { methods: ["GET", "HEAD"], hangAfter: 1000 };
/** Of a Service in the namespace of the run. */
export const hostOf = (service: string) => `${service}.demo.svc.cluster.local`;
export const run: Run = {
  route: { kind: "VirtualService", namespace: "demo", name: "shop" },
  canaryUid: "uid-1",
  namespace: "demo",
  primary: { host: hostOf("shop-primary"), workload: "shop-primary" },
  canary: { host: hostOf("shop-canary"), workload: "shop-canary" },
  run: "run-1",
  revision: "r1",
};

interface RouteOptions {
  /** null: none. */
  readonly shield?: Shield | null;
  /** Of the HTTP route. */
  readonly more?: object;
  /** Routes before it. */
  readonly before?: readonly object[];
  readonly gateways?: readonly string[];
}

/** The run's two destinations. @param weight percent of the canary */
export function split(weight: number) {
  const to = (host: string, share: number) => ({ destination: { host }, weight: share });
  return [to("shop-primary", 100 - weight), to("shop-canary", weight)];
}

/** The route of the run. @param weight percent of the canary */
export function route(weight: number, options: RouteOptions = {}): UnreadObject {
  const of = options.shield === null ? undefined : (options.shield ?? shield);
  const mark: RunMark = {
    canary: { namespace: "demo", name: "shop", uid: run.canaryUid },
    ...{ run: run.run, revision: run.revision, primaryHost: run.primary.host, canaryHost: run.canary.host },
    ...(of && { shield: of }),
  };
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "shop", annotations: { [runAnnotation]: JSON.stringify(mark) } },
    spec: {
      hosts: [options.gateways ? "*" : "shop"],
      ...(options.gateways && { gateways: options.gateways }),
      http: [...(options.before ?? []), { ...options.more, route: split(weight) }],
    },
  };
}

/** The newest windows of the run by arm, as its callers see it, and its attempts. */
export function follow(signals: Signals | undefined) {
  const windows = new Map<string, Window>();
  const attempts: Attempt[] = [];
  const abort = new AbortController();
  const keep = (signal: Signal) => {
    if (signal.kind === "attempt") attempts.push(signal);
    if (signal.kind === "window" && signal.side === "client") windows.set(signal.arm, signal);
  };
  void (async () => {
    for await (const signal of signals?.watch(run, abort.signal) ?? []) keep(signal);
  })();
  return { attempts, windows, stop: () => abort.abort() };
}
