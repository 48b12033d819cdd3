/**
 * `npm run -s fuzz:policy -- --pairs N --seed S`: generated policies and requests, our evaluator against a real Envoy
 * with rules as a list and as a tree: verdict, reported rule, audit mark and dry runs must be the same.
 *
 * Disagreements are printed as cases for `fairlead policy test`, and written to a file.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { testCertificates } from "../../../cli/policy/certificates.ts";
import { createLogger } from "../../../lib/log.ts";
import { findEnvoy } from "../../../local/envoy/find.ts";
import { evaluateCase } from "../../../policy/cases/evaluator.ts";
import type { Case } from "../../../policy/cases/read.ts";
import { KeyRing } from "../../../policy/cases/token.ts";
import { hasOwnNetwork, ownAddresses, runInOwnNetwork } from "../../../policy/harness/network.ts";
import { askBatch, type BatchRun, wordAnswer } from "./batch.ts";
import { Coverage } from "./coverage.ts";
import { type Generated, generate } from "./generate.ts";
import { Random } from "./random.ts";

const setsABatch = 120;
const requestsASet = 25;
/** Disagreements that are printed. */
const shown = 5;

if (!hasOwnNetwork()) process.exit(runInOwnNetwork(process.argv.slice(1)));

const { values } = parseArgs({
  options: { pairs: { type: "string", default: "5000" }, seed: { type: "string", default: "1" } },
});
const pairs = Number(values.pairs);
const seed = Number(values.seed);
if (!Number.isInteger(pairs) || !Number.isInteger(seed) || pairs < 1)
  throw new Error("--pairs and --seed must be whole numbers");

ownAddresses([]);
const random = new Random(seed);
const run: BatchRun = {
  keys: new KeyRing(),
  now: Math.floor(Date.now() / 1000),
  binary: await findEnvoy({ fetch: false, logger: createLogger("warn") }),
  certificates: testCertificates(),
};
const coverage = new Coverage();
const wrong: Case[] = [];
let asked = 0;
while (asked < pairs) {
  const sets: Generated[] = [];
  let left = pairs - asked;
  while (sets.length < setsABatch && left > 0) {
    const set = generate(random, Math.min(requestsASet, left));
    left -= set.requests.length;
    sets.push(set);
  }
  const answers = await askBatch(sets, run);
  for (const [index, { base, requests }] of sets.entries())
    for (const [at, request] of requests.entries()) {
      const one = { ...base, request };
      const answer = evaluateCase(one, run.keys, run.now);
      const ours = wordAnswer(answer);
      const { list = "", tree = "" } = answers[index]?.[at] ?? {};
      coverage.add(base, request, answer.status);
      asked += 1;
      if (ours === list && ours === tree) continue;
      wrong.push({
        ...one,
        name: `fuzz/${seed}/${asked}`,
        why: `evaluator: ${ours}; list: ${list}; tree: ${tree}`,
        expect: {},
      });
    }
  process.stderr.write(`${asked} pairs, ${wrong.length} disagreements\n`);
}

process.stdout.write(`${coverage.table()}\n`);
for (const one of wrong.slice(0, shown)) process.stdout.write(`---\n${stringify(one)}`);
if (wrong.length > 0) {
  const file = join(mkdtempSync(join(tmpdir(), "fairlead-fuzz-")), "disagreements.yaml");
  writeFileSync(file, wrong.map((one) => `---\n${stringify(one)}`).join(""));
  process.stdout.write(`disagreements: ${file}\n`);
}
const tooFew = ["verdict allow", "verdict deny"].filter((name) => coverage.count(name) < asked * 0.2);
for (const name of tooFew) process.stdout.write(`${name}: fewer than 20 %\n`);
process.stdout.write(`${asked - wrong.length} passed, ${wrong.length} failed\n`);
process.exitCode = wrong.length > 0 || tooFew.length > 0 ? 1 : 0;
