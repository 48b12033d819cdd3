/**
 * Conformance replay: sends the corpus to a real kube-apiserver and to the embedded server, and compares their answers.
 *
 * `npm run -s conformance [-- --only REGEXP] [--show]`: ends with `N passed, N failed, N skipped`.
 */
import { parseArgs } from "node:util";
import { canBuild } from "../cluster/build.ts";
import { AcceptedDifferences, differences } from "./compare.ts";
import { readCorpus, type Scenario } from "./corpus.ts";
import { type Answer, play } from "./play.ts";
import { startEmbedded, startReal } from "./servers.ts";
import { startWebhook } from "./webhook.ts";

const { values } = parseArgs({ options: { only: { type: "string" }, show: { type: "boolean" } } });
const say = (line: string) => process.stdout.write(`${line}\n`);
const corpus = readCorpus(values.only === undefined ? undefined : new RegExp(values.only));
const comparedSteps = corpus.reduce(
  (sum, { steps }) => sum + steps.filter(({ setup }) => setup !== true).length,
  0,
);

if (!(await canBuild())) {
  say("no real kube-apiserver: its parts are not built, and Go is not installed");
  say(`0 passed, 0 failed, ${comparedSteps} skipped`);
  process.exit(1);
}

const accepted = new AcceptedDifferences();
const [embedded, real, webhook] = await Promise.all([startEmbedded(), startReal(say), startWebhook()]);
let passed = 0;
let failed = 0;
try {
  // Commands take longest: they begin first.
  const commands = ({ steps }: Scenario) => steps.filter(({ run }) => run !== undefined).length;
  const waiting = corpus.toSorted((left, right) => commands(right) - commands(left));
  const worker = async () => {
    for (let scenario = waiting.shift(); scenario !== undefined; scenario = waiting.shift()) {
      const started = performance.now();
      const [ours, theirs] = await within(300_000, scenario.name, [
        play(scenario, embedded, webhook),
        play(scenario, real, webhook),
      ]);
      for (const [index, answer] of ours.entries()) judge(scenario.name, answer, theirs[index]);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      say(`${scenario.name}: ${ours.length} requests in ${seconds} s`);
    }
  };
  // Scenarios have namespaces and names of their own, and mostly wait.
  await Promise.all(Array.from({ length: 4 }, worker));
  if (values.only === undefined) {
    for (const id of accepted.unmet()) {
      failed++;
      say(`✗ accepted difference \`${id}\` was not met: take it out of differences.yaml`);
    }
  }
} finally {
  await Promise.all([embedded.stop(), real.stop(), webhook.stop()]);
}
say(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed === 0 ? 0 : 1);

/** Ends a scenario that hangs, naming it: every request has a limit of its own, so this one says what is wrong here. */
async function within<T>(
  milliseconds: number,
  name: string,
  work: readonly [T, T],
): Promise<[Awaited<T>, Awaited<T>]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${name} did not end in ${milliseconds / 1000} s`)),
      milliseconds,
    );
  });
  try {
    return await Promise.race([Promise.all(work), late]);
  } finally {
    clearTimeout(timer);
  }
}

function judge(scenario: string, ours: Answer, theirs: Answer | undefined): void {
  const name = `${scenario}: ${ours.step}`;
  if (values.show === true)
    say(`${name}\n  embedded ${JSON.stringify(ours.value)}\n  real     ${JSON.stringify(theirs?.value)}`);
  if (!ours.compared) return;
  const left = accepted.left(name, differences(ours.value, theirs?.value));
  if (left.length === 0) {
    passed++;
    return;
  }
  failed++;
  say(`✗ ${name}`);
  for (const difference of left.slice(0, 6)) {
    say(`    ${difference.path}`);
    say(`      embedded ${shown(difference.embedded)}`);
    say(`      real     ${shown(difference.real)}`);
  }
  if (left.length > 6) say(`    and ${left.length - 6} more`);
}

function shown(value: unknown): string {
  return value === undefined ? "(absent)" : JSON.stringify(value).slice(0, 600);
}
