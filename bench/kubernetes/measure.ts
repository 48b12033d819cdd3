/**
 * One verb at a time, with a fixed number of requests in flight: reads for a fixed time, writes a fixed number of times,
 * so that both servers end up with the same objects.
 */
import { type Api, type Client, createClient, openWatch } from "./client.ts";
import { type Subject, subjects, watched } from "./objects.ts";
import { namespace } from "./prepare.ts";

export const verbs = ["create", "get", "list", "patch", "watch"] as const;
export type Verb = (typeof verbs)[number];

/** How many watch at once, and how many objects of each kind a list has. */
export const watchers = 20;
export const listed = 200;

const readMilliseconds = 1500;
/** Writes of one measurement, by requests in flight. */
const writes = (inFlight: number): number => (inFlight === 1 ? 400 : 1600);

const mergePatch = "application/merge-patch+json";

/** What is measured on one server. */
export interface Bench {
  /** Requests (watch: events at clients) a second. */
  measure(verb: Verb, inFlight: number): Promise<number>;
}

/** Fills the namespace with what is read and patched, and gives the measurements. */
export async function openBench(api: Api): Promise<Bench> {
  const names = Array.from({ length: listed }, (_, index) => `kept-${index}`);
  const client = createClient(api, 16);
  for (const subject of subjects)
    await Promise.all(
      names.map((name) => client.send("POST", subject.path(namespace), JSON.stringify(subject.create(name)))),
    );
  await client.close();
  let created = 0;
  let patched = 0;
  // One page of each kind in the namespace that is read; creations go to another, so that lists stay as long.
  const other = "default";
  const requests: Record<Exclude<Verb, "watch">, (client: Client, turn: number) => Promise<unknown>> = {
    create(client, turn) {
      const subject = subjectOf(turn);
      const body = JSON.stringify(subject.create(`made-${created++}`));
      return client.send("POST", subject.path(other), body);
    },
    get: (client, turn) => client.send("GET", `${subjectOf(turn).path(namespace)}/${nameOf(turn)}`),
    list: (client, turn) => client.send("GET", subjectOf(turn).path(namespace)),
    patch(client, turn) {
      const subject = subjectOf(turn);
      const path = `${subject.path(namespace)}/${nameOf(turn)}`;
      return client.send("PATCH", path, JSON.stringify(subject.patch(++patched)), mergePatch);
    },
  };
  const nameOf = (turn: number) => names[Math.floor(turn / subjects.length) % names.length] ?? "";

  return {
    async measure(verb, inFlight) {
      if (verb === "watch") return watch(api, names, inFlight, () => ++patched);
      const client = createClient(api, inFlight);
      // The connections' handshakes are no part of it.
      await Promise.all(Array.from({ length: inFlight }, () => client.send("GET", "/version")));
      const reads = verb === "get" || verb === "list";
      const most = reads ? Number.POSITIVE_INFINITY : writes(inFlight);
      const milliseconds = reads ? readMilliseconds : Number.POSITIVE_INFINITY;
      const rate = await inTurns(inFlight, most, milliseconds, (turn) => requests[verb](client, turn));
      await client.close();
      return rate;
    },
  };
}

/** Calls `once` until it was called `most` times or `milliseconds` have passed; gives calls a second. */
async function inTurns(
  inFlight: number,
  most: number,
  milliseconds: number,
  once: (turn: number) => Promise<unknown>,
): Promise<number> {
  let turn = 0;
  const begin = performance.now();
  const worker = async () => {
    while (turn < most && performance.now() < begin + milliseconds) await once(turn++);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return turn / ((performance.now() - begin) / 1000);
}

function subjectOf(turn: number): Subject {
  const subject = subjects[turn % subjects.length];
  if (subject === undefined) throw new Error("there are no subjects");
  return subject;
}

/** Events a second that reach all watchers of one resource while it is patched; ends when the last one has the last. */
async function watch(
  api: Api,
  names: readonly string[],
  inFlight: number,
  count: () => number,
): Promise<number> {
  const client = createClient(api, inFlight);
  const collection = watched.path(namespace);
  const list = JSON.parse(await client.send("GET", `${collection}?limit=1`)) as {
    metadata: { resourceVersion: string };
  };
  const path = `${collection}?watch=1&resourceVersion=${list.metadata.resourceVersion}`;
  const open = await Promise.all(Array.from({ length: watchers }, () => openWatch(api, path)));
  const most = writes(inFlight);
  const begin = performance.now();
  await inTurns(inFlight, most, Number.POSITIVE_INFINITY, (turn) => {
    const body = JSON.stringify(watched.patch(count()));
    return client.send("PATCH", `${collection}/${names[turn % names.length] ?? ""}`, body, mergePatch);
  });
  await Promise.all(open.map((watcher) => watcher.reached(most)));
  const seconds = (performance.now() - begin) / 1000;
  for (const watcher of open) watcher.stop();
  await client.close();
  return (most * watchers) / seconds;
}
