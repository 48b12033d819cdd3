import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startAnswering } from "../asker.ts";
import type { Benchmark } from "../benchmark.ts";
import { buildAdsload, type LoadFigures, runAdsload } from "./adsload.ts";
import { flipBareEnvoys } from "./bare-envoys.ts";
import { measureLimit } from "./limit.ts";
import { loadNode } from "./objects.ts";
import { startRecorder } from "./recorder.ts";
import { flipSidecars } from "./sidecars.ts";
import { type Measured, startMeasured } from "./world.ts";

const explain = `
How long a change of one weight takes to reach every proxy, and what it costs.

The control plane is \`fairlead up\` as a user starts it, with Services and endpoints but no processes behind them. The
clients are bench/adsload: Go programs that speak delta ADS as Envoy does and note when they hold the new weight. The
change is a PATCH of one VirtualService; times count from its sending. Figures are the median of the rounds.

clients, services      clients that hold everything, Services with one endpoint each
p50Ms, lastMs          until half of, and all of, the clients hold the new weight (a route table for foreign clients)
limitMs                lastMs of a server that writes the same bytes to as many sockets and does nothing else
messagesPerClient      answers that one change brings a client;  bytesPerClient  their bytes on the wire
ownLastMs              lastMs of clients that ask for what fairlead's own sidecars ask for, in a live run (two runtime keys)
ownLimitMs             as limitMs, for them;  ownBytesPerProxy  bytes of one change down one of them
envoys40LastMs         40 real sidecars (pods with injected Envoys): until the last one's answers come from the other version,
                       each asked every 10 ms
envoys40LimitMs        the same for 40 bare Envoys on a server that writes one runtime resource to each
connect1000Seconds     until 1,000 new clients hold everything;  rssMb  the control plane's memory three seconds later (the
                       API server's and controllers' too);  peakMb  the most it ever had
`;

/** Milliseconds after which a crowd that has connected is nothing new. */
const settled = 3000;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

export const benchmark: Benchmark = {
  explain,
  async run({ args, say }) {
    const option = (name: string, fallback: number): number =>
      Number(args[args.indexOf(`--${name}`) + 1] ?? fallback) || fallback;
    const clients = option("clients", 200);
    const services = option("services", 504);
    const rounds = option("rounds", 9);
    const many = option("many", 1000);
    const envoys = option("envoys", 40);
    const folder = mkdtempSync(join(tmpdir(), "fairlead-push-"));
    const arms = await startArms();
    let measured: Measured | undefined;
    try {
      say("building the load tool");
      const binary = await buildAdsload(folder);
      say(`starting \`fairlead up\` with ${services} Services`);
      const control = await startMeasured(services, arms.ports);
      measured = control;
      const { target, world } = control;
      const withLimit = async (own: boolean): Promise<readonly [LoadFigures, LoadFigures]> => {
        // Makes the tool's first change, so that the recording begins with it.
        await runAdsload(binary, target, { clients: 1, rounds: 0, own });
        const recorder = startRecorder(target.ads, loadNode(own), own);
        await recorder.connected;
        const load = { clients, rounds, own };
        const ours = await runAdsload(binary, target, load);
        recorder.close();
        const limit = await measureLimit(binary, recorder.recording, target, load);
        say(`${own ? "own" : "foreign"} clients: last ${ours.lastMs} ms, limit ${limit.lastMs} ms`);
        return [ours, limit];
      };
      const [foreign, foreignLimit] = await withLimit(false);
      const [own, ownLimit] = await withLimit(true);
      let memory = control.memory();
      const crowd = await runAdsload(binary, target, { clients: many, rounds: 0 }, async () => {
        await sleep(settled);
        memory = control.memory();
      });
      say(`${many} clients held everything after ${crowd.connectSeconds} s`);
      const flips = await flipSidecars(world.client, envoys, rounds);
      await world.stop();
      measured = undefined;
      const bareFlips = await flipBareEnvoys(envoys, rounds, arms.ports);
      const figures = {
        clients,
        services,
        lastMs: foreign.lastMs,
        p50Ms: foreign.p50Ms,
        limitMs: foreignLimit.lastMs,
        messagesPerClient: foreign.messagesPerClient,
        bytesPerClient: foreign.bytesPerClient,
        ownLastMs: own.lastMs,
        ownLimitMs: ownLimit.lastMs,
        ownBytesPerProxy: own.bytesPerClient,
        ...{ [`envoys${envoys}LastMs`]: Math.round(median(flips)) },
        ...{ [`envoys${envoys}LimitMs`]: Math.round(median(bareFlips)) },
        [`connect${many}Seconds`]: crowd.connectSeconds,
        ...memory,
      };
      const text = Object.entries(figures)
        .map(([name, value]) => `${name.padEnd(22)}${value}`)
        .join("\n");
      return { figures, text };
    } finally {
      await measured?.world.stop();
      arms.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** The two versions: each answers with its name. */
async function startArms() {
  const [primary, canary] = [await startAnswering("primary"), await startAnswering("canary")];
  const portOf = (server: typeof primary) => (server.address() as AddressInfo).port;
  return {
    ports: { primary: portOf(primary), canary: portOf(canary) },
    close() {
      for (const server of [primary, canary]) server.close();
    },
  };
}
