import { setTimeout as sleep } from "node:timers/promises";
import { DeploymentKind, type Pod, PodKind } from "../../../api/core.ts";
import { DestinationRuleKind, VirtualServiceKind } from "../../../api/kinds.ts";
import { until } from "../../../cli/demo/release.ts";
import { startWorld, type World } from "../../../cli/demo/world.ts";
import type { Client } from "../../../kube/contract.ts";
import { discoverKind } from "../../../kube/discovery.ts";
import { numberOption, type Soak } from "../soak.ts";
import { type Held, watchTable } from "./held.ts";
import { createLoad, type Done, type Kind } from "./load.ts";
import { marker, namespace, objects, route, rule, version } from "./objects.ts";
import { type Asked, sharesOf, worstShares, worstTable } from "./share.ts";

/** Of a hundred requests. */
const mix: readonly (readonly [Kind, number])[] = [
  ["http/1.1", 55],
  ["h2", 25],
  ["grpc", 10],
  ["websocket", 6],
  ["tcp", 4],
];
const kinds = mix.flatMap(([kind, count]) => Array.from({ length: count }, () => kind));
/** Requests under way at most: a machine that cannot keep up is slower, not wrong. */
const mostAtOnce = 200;
const stepMs = 200;
const host = `shop.${namespace}.svc.cluster.local`;

export const soak: Soak = {
  explain: `
Requests of five kinds (HTTP/1.1, HTTP/2, gRPC streams of five messages, WebSockets of five echoes, TCP) by real sidecars of
\`fairlead up\`, 1,000 a second where the machine can, while all of this goes on: the weights of a VirtualService walk
0 -> 50 -> 100 -> 0 in steps of 1 every 200 ms; its DestinationRule is replaced every 3 s, with a subset more and without;
a version's pods become one more and one less every 8 s; the control plane is killed and started again every 25 s (the
weights walk on once the caller's sidecar follows it again).

A request each: it fails where no answer or a wrong one comes. Two checks more, each against the weights that the API server
had taken: a request may go by any that was in force between its sending and its answer, a write under way among them.

- Exactly: the caller's own table, read from its Envoy five times a second, is within 1 point of them, as the mean over any
  5 s. No chance is in that, and delay is part of the point: a table that is a second late is 4 points off.
- By what clients were answered: the second version's share over any 5 s is within 1 point and what chance explains. Each
  request draws its lot: of the 4,800 of a window that say who answered, the share differs by 0.7 points (one standard
  deviation) at weight 50 by chance alone. The bound is Bernstein's at odds by which a correct split fails one run in 1,000,
  all sets taken together: some 3.5 points more at weight 50, less towards 0 and 100. So a single window shows 5 points and
  up; smaller faults that last or come back are found in larger sets under the same rule: all requests (1.3 points in all),
  those while the weight rose and while it fell, those within 5 s of a restart, each kind's, and each tenth's of the weights.

TCP goes to a pod's own sidecar: on the loopback data path connections without HTTP do not pass the caller's.

  --requests N   how many (500,000);  --rate N  a second (1,000)
`,
  async run({ args, say }) {
    const wanted = numberOption(args, "requests", 500_000);
    const rate = numberOption(args, "rate", 1000);
    const world = await startWorld({ yes: true });
    try {
      for (const object of objects) await create(world.client, object);
      const [caller] = await readyPods(world.client, "app=caller", 1);
      const servers = await readyPods(world.client, "app=shop", 4);
      const stable = servers.filter(({ metadata }) => metadata.labels?.version === "v2");
      const load = createLoad(caller?.status?.podIP ?? "", () =>
        stable.map(({ status }) => status?.podIP ?? ""),
      );
      await until("a first answer", 30, async () =>
        (await load.send("http/1.1")).error === undefined && (await load.send("grpc")).error === undefined
          ? true
          : undefined,
      );
      const changes = startChanges(world, load.readMarker, say);
      const table = watchTable(caller?.status?.podIP ?? "", host, `outbound|80|v2|${host}`);
      const done = await sendAll(wanted, rate, (kind) => load.send(kind), say);
      await changes.stop();
      await table.stop();
      load.close();
      return judge({ done, held: table.seen, ...changes }, say);
    } finally {
      await world.stop();
    }
  },
};

/** Sends at the rate, and less where too many are under way. */
async function sendAll(
  wanted: number,
  rate: number,
  send: (kind: Kind) => Promise<Done>,
  say: (line: string) => void,
): Promise<readonly Done[]> {
  const done: Done[] = [];
  const underWay = new Set<Promise<void>>();
  let due = performance.now();
  for (let sent = 0; sent < wanted; sent += 1) {
    due = Math.max(due + 1000 / rate, performance.now() - 100);
    while (performance.now() < due) await sleep(1);
    while (underWay.size >= mostAtOnce) await Promise.race(underWay);
    // 37 has no factor in common with 100: kinds take turns.
    const kind = kinds[(sent * 37) % kinds.length] ?? "http/1.1";
    const one: Promise<void> = send(kind).then((result) => {
      done.push(result);
      underWay.delete(one);
    });
    underWay.add(one);
    if (sent > 0 && sent % 10_000 === 0)
      say(`${sent} sent, ${done.filter(({ error }) => error !== undefined).length} failed`);
  }
  await Promise.all(underWay);
  return done;
}

/** Everything that changes meanwhile. */
function startChanges(world: World, readMarker: () => Promise<string>, say: (line: string) => void) {
  const weights: Asked[] = [{ at: 0, weight: 0, taken: 0 }];
  const restarts: number[] = [];
  let going = true;
  const every = async (ms: number, change: (turn: number) => Promise<void>) => {
    for (let turn = 1; going; turn += 1) {
      await sleep(ms);
      if (!going) return;
      // Whoever writes while the control plane is away tries again at the next turn.
      await change(turn).catch((error: unknown) =>
        say(`a change was not taken: ${String(error).slice(0, 90)}`),
      );
    }
  };
  let down = false;
  let step = 0;
  const loops = [
    every(stepMs, async () => {
      if (down) return;
      step += 1;
      const at = step % 200;
      const weight = at <= 100 ? at : 200 - at;
      const asked: Asked = { at: Date.now(), weight };
      weights.push(asked);
      const body = route(weight);
      await world.client.patch(VirtualServiceKind, namespace, "shop", { kind: "merge", body });
      asked.taken = Date.now();
    }),
    every(3000, async (turn) => {
      if (!down)
        await world.client.patch(DestinationRuleKind, namespace, "shop", { kind: "merge", body: rule(turn) });
    }),
    every(8000, async (turn) => {
      const body = version("v1", 2 + (turn % 2));
      if (!down) await world.client.patch(DeploymentKind, namespace, "shop-v1", { kind: "merge", body });
    }),
    every(25_000, async (turn) => {
      down = true;
      await world.crash();
      await world.restart();
      restarts.push(Date.now());
      const body = marker(turn);
      await world.client.patch(VirtualServiceKind, namespace, "marker", { kind: "merge", body });
      await until("the sidecar follows", 60, async () =>
        (await readMarker()) === String(turn) ? true : undefined,
      );
      down = false;
    }),
  ];
  return {
    weights,
    restarts,
    async stop() {
      going = false;
      await Promise.all(loops);
    },
  };
}

interface Seen {
  readonly done: readonly Done[];
  readonly held: readonly Held[];
  readonly weights: readonly Asked[];
  readonly restarts: readonly number[];
}

function judge({ done, held, weights, restarts }: Seen, say: (line: string) => void) {
  for (const [kind] of mix) {
    const own = done.filter((one) => one.kind === kind);
    const failed = own.filter(({ error }) => error !== undefined);
    say(
      `${kind.padEnd(10)} ${String(own.length).padStart(8)} requests ${String(failed.length).padStart(6)} failed`,
    );
    for (const [error, all] of Map.groupBy(failed, (one) => one.error ?? ""))
      say(`  ${all.length} x ${error}`);
  }
  const shares = sharesOf(done, weights, restarts);
  const worst = worstShares(shares);
  for (const { of, requests, off, allowed } of [...shares.slice(0, 4), ...worst])
    say(
      `share of the second version, ${of} (${requests} requests): ${off.toFixed(2)} points off, ${allowed.toFixed(2)} allowed`,
    );
  const table = worstTable(held, weights);
  const seconds = ((done.at(-1)?.end ?? 0) - (done[0]?.at ?? 0)) / 1000;
  say(
    `the caller's own table (${held.length} looks in ${seconds.toFixed(0)} s), 5 s from ${table.second} s: ${table.off.toFixed(2)} points off, 1 allowed`,
  );
  // Fewer than a look a second, of five, say nothing of what was between them.
  const isSeen = held.length > seconds;
  const wrong = [worst.some(({ off, allowed }) => off > allowed), !isSeen || table.off > 1];
  const failed = [...done.map(({ error }) => error !== undefined), ...wrong].filter(Boolean).length;
  return { passed: done.length + wrong.length - failed, failed };
}

async function create(client: Client, object: (typeof objects)[number]): Promise<void> {
  const kind = await discoverKind(client, object.apiVersion, object.kind);
  if (kind === undefined) throw new Error(`the API server does not know ${object.kind}`);
  await client.create(kind, object);
}

function readyPods(client: Client, labelSelector: string, count: number): Promise<readonly Pod[]> {
  return until(`${count} pods of ${labelSelector}`, 90, async () => {
    const { items } = await client.list(PodKind, { namespace, labelSelector });
    const ready = items.filter(({ status }) =>
      status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True"),
    );
    return ready.length === count ? ready : undefined;
  });
}
