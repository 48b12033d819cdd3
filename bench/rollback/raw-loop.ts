/**
 * The limit: log line → decision → push → last bad answer, with the product's own xDS server and signals around one
 * Envoy, and a decider that takes the first failed attempt for proof.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Run } from "../../api/signals.ts";
import { RecordTail } from "../../cli/demo/record.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { upstreamAttemptLogs } from "../../mesh/build/attempt-log.ts";
import { serveOtlp } from "../../mesh/signals/otlp-server.ts";
import { createSignals } from "../../mesh/signals/signals.ts";
import { createAds } from "../../mesh/xds/ads.ts";
import { adsDefinition } from "../../mesh/xds/definition.ts";
import { serveGrpc } from "../../mesh/xds/serve.ts";
import { freePort, startEnvoy } from "../../test/support/envoy.ts";
import { type Harm, harmOf } from "./figures.ts";
import { load } from "./product.ts";
import { hosts, rawBootstrap, rawResources } from "./raw-proxy.ts";

const run: Run = {
  route: { kind: "VirtualService", namespace: "demo", name: "shop" },
  canaryUid: "raw",
  namespace: "demo",
  primary: { host: hosts.primary, workload: "shop-primary" },
  canary: { host: hosts.canary, workload: "shop" },
  run: "raw",
  revision: "raw",
};

/** How long the canary serves before its fault, and how long is waited for what is under way, milliseconds. */
const warmUp = 700;
const settle = 500;

/**
 * Breaks the canary `faults` times.
 *
 * @throws where Envoy or a service does not start, or a fault is not seen
 */
export async function rawLoop(faults: number, say: (line: string) => void): Promise<Harm[]> {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-raw-"));
  const faultFile = join(folder, "fault");
  const record = join(folder, "requests.ndjson");
  const [egress, primary, canary] = [await freePort(), await freePort(), await freePort()];
  const viewAt = rawResources({ egress, primary, canary }, upstreamAttemptLogs({}));
  let view = viewAt(0);
  let acknowledged: () => void = () => undefined;
  const ads = createAds<{ id: string }>({
    clock: systemClock,
    logger: silent,
    recognise: ({ node }) => ({ id: node.id }),
    viewOf: () => view,
    onAcknowledged: (_, { type }) => {
      if (type === "runtime") acknowledged();
    },
  });
  const setWeight = (weight: number): Promise<void> => {
    const answer = new Promise<void>((resolve) => {
      acknowledged = resolve;
    });
    view = viewAt(weight);
    ads.publish();
    return answer;
  };
  const { signals, collector } = createSignals({
    replica: "raw",
    clock: systemClock,
    cuts: { set: () => ({ held: 0, of: 0 }), release: () => undefined },
  });
  const server = await serveGrpc({
    plaintext: { host: "127.0.0.1", port: 0 },
    services: [{ definition: adsDefinition, implementation: ads.implementation }],
  });
  const otlp = await serveOtlp({
    host: "127.0.0.1",
    port: 0,
    collector,
    admit: () => ({ workload: undefined }),
    logger: silent,
  });
  const programs: ChildProcess[] = [];
  const start = (name: string, environment: Record<string, string>) => {
    const file = join(import.meta.dirname, "../../examples/demo", `${name}.ts`);
    const env = { PATH: process.env.PATH, ...environment };
    programs.push(spawn(process.execPath, [file], { env, stdio: "ignore" }));
  };
  let envoy: Awaited<ReturnType<typeof startEnvoy>> | undefined;
  const stop = new AbortController();
  try {
    start("shop", { VERSION: "1", PORT: String(primary) });
    start("shop", { VERSION: "2", PORT: String(canary), FAULT_FILE: faultFile });
    envoy = await startEnvoy(rawBootstrap(server.ports.plaintext ?? 0, otlp.port));
    await untilAnswered([egress, primary, canary]);
    start("load", { URL_TO_CALL: `http://127.0.0.1:${egress}/`, RATE: String(load.rate), RECORD: record });
    const tail = new RecordTail(record);

    let seen: () => void = () => undefined;
    void (async () => {
      for await (const signal of signals.watch(run, stop.signal)) {
        if (signal.kind === "attempt" && signal.arm === "canary" && signal.failed) seen();
      }
    })();

    const harms: Harm[] = [];
    for (let fault = 0; fault < faults; fault++) {
      await setWeight(load.weight);
      await sleep(warmUp);
      const rolledBack = new Promise<void>((resolve) => {
        seen = () => {
          seen = () => undefined;
          void setWeight(0).then(resolve);
        };
      });
      writeFileSync(faultFile, "1");
      const faultAt = Date.now();
      await within(rolledBack, 10_000);
      await sleep(settle);
      rmSync(faultFile);
      const harm = harmOf(tail.read(), "2", faultAt);
      if (harm === undefined)
        throw new Error("the raw loop took back a canary of which no request had failed");
      harms.push(harm);
      say(`raw loop ${fault + 1}: ${harm.faultToZeroMs.toFixed(0)} ms`);
    }
    return harms;
  } finally {
    stop.abort();
    for (const program of programs) program.kill("SIGKILL");
    await envoy?.stop();
    server.close();
    await otlp.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function untilAnswered(ports: readonly number[]): Promise<void> {
  for (const deadline = Date.now() + 15_000; ; await sleep(50)) {
    const answers = await Promise.all(
      ports.map((port) =>
        fetch(`http://127.0.0.1:${port}/`).then(
          ({ ok }) => ok,
          () => false,
        ),
      ),
    );
    if (answers.every(Boolean)) return;
    if (Date.now() > deadline) throw new Error("the raw loop's services did not answer within 15 s");
  }
}

async function within(what: Promise<void>, milliseconds: number): Promise<void> {
  const stop = new AbortController();
  const late = sleep(milliseconds, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`the raw loop saw no failed attempt in ${milliseconds / 1000} s`);
  });
  late.catch(() => undefined);
  await Promise.race([what, late]);
  stop.abort();
}
