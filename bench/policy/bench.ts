import { evaluator } from "../../policy/evaluate/evaluate.ts";
import type { Benchmark } from "../benchmark.ts";
import { quantile } from "../rollback/figures.ts";
import { envoyCost } from "./envoy.ts";
import { measure } from "./measure.ts";
import { changeMs, compiled, compileMs, linearScan } from "./own.ts";
import { casbin, cedar } from "./peers.ts";
import { asks, requestOf } from "./policies.ts";
import { tokenTimes } from "./tokens.ts";

const small = 10;
const large = 10_000;
/** Requests that all engines must decide alike before anything is timed. */
const compared = 120;

const explain = `
Deciding a request under 10 and 10,000 policies: our evaluator, a scan of all rules, casbin, cedar-wasm, a real Envoy.

The policies are those of 2,500 teams: ALLOW a caller an exact path by methods, ALLOW a namespace a path prefix, ALLOW anybody a
public path, DENY a path prefix. A third of the requests match nothing, a sixth meets a DENY. All engines decide the same
policies, and must decide ${compared} requests alike first. Times of one core, best of 3; requests are made afresh outside the time.

p50UsAt10, p50UsAt10000    median microseconds of a decision of our evaluator (groups of 16)
decisionsPerSecondAt10000  decisions a second of the time spent in them, garbage collection in it
linearUsAt10000            the same closures without an index; casbinUsAt10000, cedarUsAt10000: the peers (cedar preparsed)
compileMs10000             from 10,000 policy objects to an evaluator that answers
changeMs                   from one changed policy object of 10,000 to answers by it (median of 200)
envoyPlainUs               p50 of a request to Envoy without RBAC, from Node over loopback, answered by Envoy itself; the
                           requests are the others', over plain connections, and Envoy's verdict must be the evaluator's
envoyTreeExtraUs           what 10,000 policies as matcher trees add to it: blocks of each form in turn, the median of the
envoyListExtraUs           differences between neighbours' medians; and as Istio's list. envoyRounds: how many
rs256Us, es256Us           all that the evaluator does with a token (RSA-2048, P-256; keys known), medians
rs256BareUs, es256BareUs   node:crypto's verify alone; rs256JoseUs, es256JoseUs: jose's jwtVerify
`;

export const benchmark: Benchmark = {
  explain,
  async run({ say }) {
    say("do all decide alike?");
    const disagreement = await disagreementAt(400);
    say("our evaluator");
    const few = bestOf(3, () => ownSpeed(small));
    const many = bestOf(3, () => ownSpeed(large));
    const compile = Math.min(...[1, 2, 3].map(() => compileMs(large)));
    const change = Math.min(...[1, 2, 3].map(() => quantile(changeMs(large), 0.5)));
    say("a linear scan, casbin, cedar");
    const some = asks(large, 600);
    const at = <T>(list: readonly T[], index: number) => list[index % list.length] as T;
    const linear = measure((index) => requestOf(at(some, index)), linearScan(large), 1000, 1);
    const byCasbin = measure((index) => at(some, index), await casbin(large), 3000, 1);
    const byCedar = measure((index) => at(some, index), cedar(large), 3000, 1);
    say("tokens");
    const rs256 = await tokenTimes("RS256");
    const es256 = await tokenTimes("ES256");
    say("a real Envoy");
    const envoy = await envoyCost(say);
    const figures = {
      p50UsAt10: round(few.p50Us),
      p50UsAt10000: round(many.p50Us),
      decisionsPerSecondAt10000: Math.floor(many.perSecond),
      linearUsAt10000: round(linear.p50Us),
      casbinUsAt10000: round(byCasbin.p50Us),
      cedarUsAt10000: round(byCedar.p50Us),
      compileMs10000: round(compile),
      changeMs: round(change),
      envoyPlainUs: round(envoy.plainUs),
      envoyTreeExtraUs: round(envoy.treeExtraUs),
      envoyListExtraUs: round(envoy.listExtraUs),
      envoyRounds: envoy.rounds,
      rs256Us: round(rs256.own),
      es256Us: round(es256.own),
      rs256BareUs: round(rs256.bare),
      es256BareUs: round(es256.bare),
      rs256JoseUs: round(rs256.jose),
      es256JoseUs: round(es256.jose),
    };
    return { figures, text: table(figures), ...(disagreement && { failed: disagreement }) };
  },
};

function ownSpeed(policies: number) {
  const decide = evaluator(compiled(policies));
  const some = asks(policies, 60_000);
  return measure((index) => requestOf(some[index % some.length] ?? nobody), decide, 1200);
}

const nobody = { caller: "", namespace: "", method: "", path: "" };

function bestOf(runs: number, once: () => ReturnType<typeof measure>) {
  const speeds = Array.from({ length: runs }, once);
  return {
    p50Us: Math.min(...speeds.map(({ p50Us }) => p50Us)),
    perSecond: Math.max(...speeds.map(({ perSecond }) => perSecond)),
  };
}

/** What the engines say of the same requests; undefined where all say the same. */
async function disagreementAt(policies: number): Promise<string | undefined> {
  const own = evaluator(compiled(policies));
  const linear = linearScan(policies);
  const others = [await casbin(policies), cedar(policies)];
  for (const ask of asks(policies, compared)) {
    const request = requestOf(ask);
    const wanted = own(request).decision === "allow";
    if (linear(request) !== wanted || others.some((decide) => decide(ask) !== wanted))
      return `not all decide alike: ${JSON.stringify(ask)}`;
  }
  return undefined;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

function table(figures: Readonly<Record<string, number>>): string {
  const width = Math.max(...Object.keys(figures).map((name) => name.length));
  return Object.entries(figures)
    .map(([name, value]) => `${name.padEnd(width)} ${value.toLocaleString("en").padStart(12)}`)
    .join("\n");
}
