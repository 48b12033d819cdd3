/**
 * The control plane's part in signals, as the product has it: reports and attempts of proxies over mutual TLS, one live
 * run that is watched and judged.
 */

import type { RunSettings } from "../../analysis/analyst.ts";
import { readRunSettings } from "../../analysis/settings.ts";
import { createAnalyst } from "../../analysis/watch.ts";
import { readCanary } from "../../api/canary/read.ts";
import { trimHeap } from "../../cli/up/trim-heap.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { readAuthority } from "../../mesh/ca/authority.ts";
import { serveOwnCertificate } from "../../mesh/ca/server-credentials.ts";
import { admitBy } from "../../mesh/signals/authorize.ts";
import { serveOtlp } from "../../mesh/signals/otlp-server.ts";
import { type Collector, createSignals } from "../../mesh/signals/signals.ts";
import type { Certificates } from "./certificates.ts";
import {
  canaryWeight,
  defaultAnalysis,
  namespace,
  podOf,
  proxies,
  run,
  serviceAccount,
  workloadOf,
} from "./plan.ts";

export interface ControlPlaneOrder {
  /** Begins a new analysis by this `spec.analysis` of a Canary. */
  readonly arm?: object;
  /** Trims the heap, as the control plane does, before memory is told: not while CPU is measured. */
  readonly trim?: boolean;
  /** Tells how many requests are remembered of so many seconds: not while CPU is measured. */
  readonly remembered?: number;
}

/** What the process answers to each message. */
export interface ControlPlaneAnswer {
  /** Where proxies tell of themselves. */
  readonly port: number;
  /** CPU seconds so far, and resident bytes. */
  readonly cpu: number;
  readonly rss: number;
  /** How many arrived so far. */
  readonly reports: number;
  readonly attempts: number;
  /** Requests of the seconds asked for, as the workloads' own proxies counted them; 0 where none were asked for. */
  readonly requests: number;
  /** Epoch milliseconds of the first roll-back verdict since it was last armed; 0: none. */
  readonly verdictAt: number;
  readonly verdict: string;
}

function settingsOf(analysis: object): RunSettings {
  const { value, problems } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis,
    },
  });
  if (value === undefined) throw new Error(JSON.stringify(problems));
  return readRunSettings(value, {
    template: () => undefined,
    secret: () => Promise.resolve(new Map()),
  }).settings;
}

const workloads = new Map(
  Array.from({ length: proxies }, (_, proxy) => [
    `${namespace}/${podOf(proxy)}`,
    {
      namespace,
      pod: podOf(proxy),
      ip: "127.0.0.1",
      labels: {},
      serviceAccount,
      facts: { workload: workloadOf(proxy) },
      ports: [],
      mutualTls: true,
    },
  ]),
);

process.once("message", async (certificates: Certificates) => {
  const authority = readAuthority(certificates.authority);
  const serving = serveOwnCertificate({
    authority: () => authority,
    names: { dns: ["localhost"], ips: ["127.0.0.1"] },
    clock: systemClock,
    logger: silent,
  });
  const { signals, collector } = createSignals({
    replica: "bench",
    clock: systemClock,
    cuts: { set: () => ({ held: 0, of: 0 }), release: () => undefined },
  });
  const arrived = { reports: 0, attempts: 0 };
  const counting: Collector = {
    takeReport(...report) {
      arrived.reports += 1;
      collector.takeReport(...report);
    },
    takeAttempts(proxy, entries) {
      arrived.attempts += entries.length;
      collector.takeAttempts(proxy, entries);
    },
  };
  const admit = admitBy(() => workloads, "cluster.local");
  const otlp = await serveOtlp({
    host: "127.0.0.1",
    port: 0,
    tls: { rootPem: authority.rootPem, certificate: serving.current },
    collector: counting,
    admit,
    logger: silent,
  });

  const analyst = createAnalyst({ signals, clock: systemClock, logger: silent });
  let verdictAt = 0;
  let verdict = "";
  const arm = (spec: object) => {
    verdictAt = 0;
    verdict = "";
    const analysis = analyst.start(run, settingsOf(spec));
    analysis.setWeight(canaryWeight, Date.now());
    analysis.onHarm(({ reason }) => {
      if (verdictAt === 0) verdictAt = Date.now();
      verdict = reason;
    });
    return analysis;
  };
  /** Windows are cumulative: of each arm and half the last one counts. */
  const requestsOf = async (seconds: number): Promise<number> => {
    const last = new Map<string, number>();
    for (const { arm, side, half, requests } of await signals.history(run, seconds))
      if (side === "destination") last.set(`${arm} ${half}`, requests);
    return [...last.values()].reduce((sum, requests) => sum + requests, 0);
  };
  let analysis = arm(defaultAnalysis);
  process.on("message", async ({ arm: spec, trim, remembered = 0 }: ControlPlaneOrder) => {
    if (spec !== undefined) {
      analysis.close();
      analysis = arm(spec);
    }
    if (trim === true) trimHeap();
    const { user, system } = process.cpuUsage();
    const answer: ControlPlaneAnswer = {
      port: otlp.port,
      cpu: (user + system) / 1e6,
      rss: process.memoryUsage.rss(),
      ...arrived,
      requests: remembered > 0 ? await requestsOf(remembered) : 0,
      verdictAt,
      verdict,
    };
    process.send?.(answer);
  });
});
