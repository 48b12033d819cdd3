/** Real Envoys whose canary can be made to fail, and the product's signals and judge beside them. */
import { setTimeout as sleep } from "node:timers/promises";
import type { AppsAnswer, AppsOrder } from "../../../bench/signals/apps.ts";
import { makeCertificates } from "../../../bench/signals/certificates.ts";
import type { ControlPlaneAnswer, ControlPlaneOrder } from "../../../bench/signals/control-plane.ts";
import { startProxy } from "../../../bench/signals/envoy.ts";
import type { LoadAnswer, LoadOrder } from "../../../bench/signals/load.ts";
import { canaryWeight } from "../../../bench/signals/plan.ts";
import { startPart } from "../../../bench/signals/process.ts";

export interface Verdict {
  /** Milliseconds from the first failed response at the client to the roll-back verdict. */
  readonly delay: number;
  readonly reason: string;
}

export interface VerdictBed {
  /** A new run by this `spec.analysis`, with a healthy canary. */
  begin(analysis: object): Promise<void>;
  /** From now on this share of the canary's requests fails. */
  fail(share: number): Promise<void>;
  /** The verdict within `seconds` of now; undefined where none fell. */
  verdict(seconds: number): Promise<Verdict | undefined>;
  stop(): Promise<void>;
}

/** Starts everything, with `canaryRate` requests a second at the canary, a tenth of all. */
export async function openVerdictBed(canaryRate: number): Promise<VerdictBed> {
  const certificates = makeCertificates();
  const controlPlane = startPart<ControlPlaneOrder, ControlPlaneAnswer>("control-plane.ts", certificates);
  const load = startPart<LoadOrder, LoadAnswer>("load.ts", undefined);
  const apps = startPart<AppsOrder, AppsAnswer>("apps.ts", undefined);
  const stopParts = (): void => {
    for (const part of [controlPlane, load, apps]) part.stop();
  };
  const start = async () => {
    const versions = await apps.ask({ failing: 0 });
    const { port } = await controlPlane.ask({});
    return startProxy(
      { proxy: 1, sink: true, log: true, live: true },
      { ...versions, controlPlane: port, certificates },
    );
  };
  const envoy = await start().catch((error: unknown) => {
    stopParts();
    throw error;
  });
  const order: LoadOrder = { port: envoy.port, rate: (canaryRate * 100) / canaryWeight };
  return {
    async begin(analysis) {
      await apps.ask({ failing: 0 });
      await load.ask(order);
      // What failed before is past: the last report of it comes a second later.
      await sleep(2500);
      await controlPlane.ask({ arm: analysis });
      await sleep(1500);
      await load.ask(order);
    },
    async fail(share) {
      await apps.ask({ failing: share });
    },
    async verdict(seconds) {
      for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(50)) {
        const { verdictAt, verdict } = await controlPlane.ask({});
        if (verdictAt === 0) continue;
        const { firstFailureAt } = await load.ask(order);
        return { delay: verdictAt - firstFailureAt, reason: verdict };
      }
      return undefined;
    },
    async stop() {
      await load.ask({ port: 0, rate: 0 });
      await envoy.stop();
      stopParts();
    },
  };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
