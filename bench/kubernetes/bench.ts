import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { memoryFlags } from "../../cli/up/program-file.ts";
import type { Connection } from "../../kube/contract.ts";
import { kubernetesVersion } from "../../test/cluster/build.ts";
import { startCluster } from "../../test/cluster/start.ts";
import type { Benchmark, Figures } from "../benchmark.ts";
import { quantile } from "../rollback/figures.ts";
import { type Bench, listed, openBench, type Verb, verbs, watchers } from "./measure.ts";
import { prepare } from "./prepare.ts";
import type { ReadyTimes } from "./ready-process.ts";

const inFlights = [1, 16] as const;
const rounds = 3;

const explain = `
The embedded API server against a real kube-apiserver ${kubernetesVersion} with its etcd, by the same client in one run.

Both keep their data on the same disk, and neither answers a write before it is fsynced (writes that come together may
share one). Both get the same writes. The client speaks HTTP/1.1 over TLS with a service account's token and asks for
JSON. It takes ConfigMaps of 1 KB, Deployments and VirtualServices in turn, with 1 and with ${inFlights[1]} requests in flight. The
servers take turns; every figure is the median of ${rounds} rounds after one that warms both up.

createRatio getRatio      requests a second of ours / of the real one, the worse of 1 and ${inFlights[1]} in flight;
listRatio patchRatio      a list is one of ${listed} objects, a patch is a JSON merge patch
watchRatio                the same of events a second at ${watchers} watchers of one resource while it is patched
<verb>Ratio1, <verb>Ratio${inFlights[1]}  the same by requests in flight
<verb>PerSecond${inFlights[1]}         requests (events) a second of ours with ${inFlights[1]} in flight; real<Verb>PerSecond${inFlights[1]}: of the real one
rssMb, realRssMb          resident memory at the end of the same run: the embedded server's process, with the flags of
                          \`fairlead up\`; kube-apiserver and etcd together. rssPeakMb and realRssPeakMb: the highest
readyMs, emptyNodeMs      \`startKubernetes\` of the library on a new folder until it serves, and the start of an empty
                          program under the same Node; medians of 7
`;

interface Side {
  readonly name: "embedded" | "real";
  readonly bench: Bench;
  readonly pids: readonly number[];
}

export const benchmark: Benchmark = {
  explain,
  async run({ say }) {
    const stops: (() => Promise<void>)[] = [];
    try {
      say("starting the library");
      const times = await readyTimes();
      const cluster = await startCluster({ say });
      stops.push(() => cluster.stop());
      const own = await startEmbedded();
      stops.push(() => own.stop());
      say("filling both");
      const sides: Side[] = [
        { name: "embedded", bench: await open(own.connection), pids: [own.pid] },
        {
          name: "real",
          bench: await open(cluster.connection),
          pids: [cluster.pids.etcd ?? 0, cluster.pids.apiServer ?? 0],
        },
      ];
      const rates = new Map<string, number[]>();
      for (let round = 0; round <= rounds; round++) {
        for (const verb of verbs)
          for (const inFlight of inFlights)
            for (const { name, bench } of round % 2 === 0 ? sides : sides.toReversed()) {
              const rate = await bench.measure(verb, inFlight);
              say(
                `${round === 0 ? "warming" : `round ${round}`}: ${verb}, ${inFlight} in flight, ${name}: ${rate.toFixed(0)}/s`,
              );
              const key = keyOf(name, verb, inFlight);
              if (round > 0) rates.set(key, [...(rates.get(key) ?? []), rate]);
            }
      }
      const rate = (side: Side["name"], verb: Verb, inFlight: number) =>
        quantile(rates.get(keyOf(side, verb, inFlight)) ?? [], 0.5);
      const [embedded, real] = sides.map(({ pids }) => memoryOf(pids));
      return report(rate, embedded ?? noMemory, real ?? noMemory, times);
    } finally {
      for (const stop of stops.reverse()) await stop();
    }
  },
};

const keyOf = (side: Side["name"], verb: Verb, inFlight: number): string => `${side} ${verb} ${inFlight}`;

const open = async (connection: Connection): Promise<Bench> => openBench(await prepare(connection));

async function startEmbedded() {
  const folder = await mkdtemp(join(tmpdir(), "fairlead-bench-"));
  const child = spawn(
    process.execPath,
    [...memoryFlags, join(import.meta.dirname, "server-process.ts"), folder],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, "line")) as [string];
  return {
    connection: JSON.parse(line) as Connection,
    pid: child.pid ?? 0,
    async stop() {
      const gone = once(child, "exit");
      child.kill();
      await gone;
      await rm(folder, { recursive: true });
    },
  };
}

interface Memory {
  /** Megabytes (10^6 bytes) now, and at most so far. */
  readonly now: number;
  readonly peak: number;
}

const noMemory: Memory = { now: Number.NaN, peak: Number.NaN };

/** Resident memory of processes together, from /proc. */
function memoryOf(pids: readonly number[]): Memory {
  const sum = (field: string) =>
    pids.reduce((total, pid) => {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      return total + Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1.024e-3;
    }, 0);
  return { now: sum("VmRSS"), peak: sum("VmHWM") };
}

async function readyTimes(): Promise<ReadyTimes> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(import.meta.dirname, "ready-process.ts"),
  ]);
  return JSON.parse(stdout) as ReadyTimes;
}

type Rate = (side: Side["name"], verb: Verb, inFlight: number) => number;

function report(rate: Rate, embedded: Memory, real: Memory, { ready, emptyNode }: ReadyTimes) {
  const figures: Record<string, number | string> = {};
  const lines = [
    `${"".padEnd(8)}${"in flight".padStart(10)}${"embedded/s".padStart(12)}${"real/s".padStart(10)}${"ratio".padStart(8)}`,
  ];
  for (const verb of verbs) {
    const ratios = inFlights.map((inFlight) => {
      const [own, theirs] = [rate("embedded", verb, inFlight), rate("real", verb, inFlight)];
      lines.push(
        `${verb.padEnd(8)}${String(inFlight).padStart(10)}${own.toFixed(0).padStart(12)}${theirs.toFixed(0).padStart(10)}${(own / theirs).toFixed(2).padStart(8)}`,
      );
      figures[`${verb}Ratio${inFlight}`] = rounded(own / theirs);
      return own / theirs;
    });
    figures[`${verb}Ratio`] = rounded(Math.min(...ratios));
    figures[`${verb}PerSecond16`] = Math.round(rate("embedded", verb, 16));
    figures[`real${verb[0]?.toUpperCase()}${verb.slice(1)}PerSecond16`] = Math.round(rate("real", verb, 16));
  }
  figures.rssMb = Math.round(embedded.now);
  figures.realRssMb = Math.round(real.now);
  figures.rssPeakMb = Math.round(embedded.peak);
  figures.realRssPeakMb = Math.round(real.peak);
  figures.readyMs = Math.round(quantile(ready, 0.5));
  figures.emptyNodeMs = Math.round(quantile(emptyNode, 0.5));
  figures.kubernetesVersion = kubernetesVersion;
  lines.push(
    `memory    embedded ${figures.rssMb} MB (at most ${figures.rssPeakMb})   real ${figures.realRssMb} MB (at most ${figures.realRssPeakMb})`,
    `the library is ready after ${figures.readyMs} ms; an empty Node takes ${figures.emptyNodeMs} ms`,
  );
  return { figures: figures satisfies Figures, text: lines.join("\n") };
}

const rounded = (value: number): number => Number(value.toFixed(2));
