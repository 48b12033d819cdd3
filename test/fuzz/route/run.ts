/**
 * `npm run fuzz:route -- --pairs N --seed S`: generated configurations and requests, `explain route` against a real
 * Envoy that holds the same view: virtual host, route, cluster, endpoint, path, timeout, attempts, answer.
 *
 * The route must also be the one that the manifests mean by themselves. Disagreements are printed and written to a file, each as manifests and a request.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseAllDocuments, stringify } from "yaml";
import { arrive } from "../../../mesh/explain/arrive.ts";
import { explain } from "../../../mesh/explain/explain.ts";
import { type Explanation, nothing } from "../../../mesh/explain/explanation.ts";
import { type RouteRequest, requestOf } from "../../../mesh/explain/request.ts";
import { Random } from "../policy/random.ts";
import { type Answer, ask } from "./ask.ts";
import { differences, differencesFromMeant } from "./compare.ts";
import { Coverage } from "./coverage.ts";
import { type Asked, type Config, drawConfig, drawRequest } from "./generate.ts";
import { readLines } from "./log.ts";
import { objectsOf, virtualRange } from "./objects.ts";
import { meantRoute } from "./reference.ts";
import { startUpstream } from "./upstream.ts";
import { type Loaded, type Mode, startWorld, type World } from "./world.ts";

const requestsAConfig = 20;
/** Disagreements that are printed. */
const shown = 5;
/** Where the callers' names outside the mesh lead here: nobody answers. */
const elsewhere = "127.77.250.1";
const addresses: Readonly<Record<Mode, string>> = { REDIRECT: "127.78.0.2", NONE: "127.78.0.3" };

const { values } = parseArgs({
  options: { pairs: { type: "string", default: "2000" }, seed: { type: "string", default: "1" } },
});
const [pairs, seed] = [Number(values.pairs), Number(values.seed)];
if (!Number.isInteger(pairs) || !Number.isInteger(seed) || pairs < 1)
  throw new Error("--pairs and --seed must be whole numbers");

/** A pair as it is written down. */
interface Written {
  readonly name: string;
  readonly proxy: Mode;
  readonly request: Asked;
  readonly config: Config;
}

interface Wrong extends Written {
  readonly differs: readonly string[];
  readonly explained: Explanation;
}

const random = new Random(seed);
const upstream = await startUpstream();
const worlds = {
  REDIRECT: await startWorld("REDIRECT", addresses.REDIRECT),
  NONE: await startWorld("NONE", addresses.NONE),
};
const coverage = new Coverage();
const wrong: Wrong[] = [];
let done = 0;
try {
  for (const { name, proxy, config, request } of knownCases())
    await askAll(worlds[proxy], config, [{ name, request }]);
  for (let turn = 0; done < pairs; turn += 1) {
    const mode = turn % 2 === 0 ? "REDIRECT" : "NONE";
    const config = drawConfig(random);
    const count = Math.min(requestsAConfig, pairs - done);
    const drawn = Array.from({ length: count }, (_, index) => ({
      name: `${seed}-${done + index}`,
      request: drawFor(mode),
    }));
    await askAll(worlds[mode], config, drawn);
    if (turn % 10 === 9) process.stderr.write(`${done} pairs, ${wrong.length} disagreements\n`);
  }
} finally {
  await Promise.all([...Object.values(worlds).map((world) => world.stop()), upstream.stop()]);
}

process.stdout.write(`${coverage.table()}\n`);
for (const one of wrong.slice(0, shown))
  process.stdout.write(`---\n${stringify({ ...one, config: undefined })}`);
if (wrong.length > 0) {
  const file = join(mkdtempSync(join(tmpdir(), "fairlead-fuzz-")), "disagreements.yaml");
  writeFileSync(file, wrong.map((one) => `---\n${stringify(one)}`).join(""));
  process.stdout.write(`disagreements: ${file}\n`);
}
process.stdout.write(`${done - wrong.length} passed, ${wrong.length} failed\n`);
process.exit(wrong.length > 0 ? 1 : 0);

/** What once disagreed, kept. */
function knownCases(): readonly Written[] {
  const text = readFileSync(join(import.meta.dirname, "cases.yaml"), "utf8");
  return parseAllDocuments(text).map((document) => document.toJS() as Written);
}

/** Asks requests of one configuration, all at once, and notes what differs. */
async function askAll(
  world: World,
  config: Config,
  drawn: readonly { readonly name: string; readonly request: Asked }[],
): Promise<void> {
  const loaded = await world.load(objectsOf(config, upstream.port));
  // Once a request has passed, the worker has seen all that Envoy has acknowledged.
  await askPair(world, loaded, requestOf("http://nobody.localhost/"), "first");
  const asked = await Promise.all(
    drawn.map(async ({ name, request: written }) => {
      const request = requestOf(written.url, written);
      return { name, written, request, ...(await askPair(world, loaded, request, name)) };
    }),
  );
  const inLog = asked.filter(({ request }) => request.scheme === "http");
  const lines = readLines(await world.readLog(1 + inLog.length));
  for (const { name, written, request, explained, answer } of asked) {
    const observed = { answer, line: lines.get(name), arrivals: upstream.arrivals(name) };
    const differs = [
      ...differences(request, explained, observed),
      ...(request.scheme === "http" ? differencesFromMeant(meantRoute(config, request), explained) : []),
    ];
    coverage.add(world.mode, config, request, explained);
    if (differs.length > 0)
      wrong.push({ name, proxy: world.mode, request: written, differs, explained, config });
  }
  done += drawn.length;
}

/** Connections without requests do not pass a proxy that is an HTTP proxy. */
function drawFor(mode: Mode): Asked {
  for (;;) {
    const one = drawRequest(random);
    if (mode === "REDIRECT" || one.url.startsWith("http:")) return one;
  }
}

/** What is explained of a request, and what a real Envoy answers. */
async function askPair(
  world: World,
  { model, proxy, resources }: Loaded,
  request: RouteRequest,
  pair: string,
): Promise<{ readonly explained: Explanation; readonly answer: Answer }> {
  const arrival = arrive(model, proxy, resources, request);
  const isExplained = !("reason" in arrival);
  const explained = isExplained
    ? explain(resources, arrival, request)
    : { ...nothing, reason: arrival.reason };
  const isVirtual = isExplained && arrival.destination.address.startsWith(virtualRange);
  const destination = isVirtual ? arrival.destination : { address: elsewhere, port: request.port };
  return { explained, answer: await ask(world, addresses[world.mode], request, destination, pair) };
}
