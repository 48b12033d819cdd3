import { stringify } from "yaml";
import { meshOf } from "../../../policy/cases/compile.ts";
import type { Case } from "../../../policy/cases/read.ts";
import { KeyRing } from "../../../policy/cases/token.ts";
import { wireOf } from "../../../policy/cases/wire.ts";
import { actionOf } from "../../../policy/compile/compile.ts";
import { receive } from "../../../policy/edge/receive.ts";
import type { PolicyRequest } from "../../../policy/evaluate/request.ts";
import { claimSets, issuers, subjects } from "../../fuzz/policy/alphabet.ts";
import { generate } from "../../fuzz/policy/generate.ts";
import { Random } from "../../fuzz/policy/random.ts";
import { numberOption, type Soak } from "../soak.ts";
import { type Checked, isSettled, propertiesOf } from "./properties.ts";

const requestsASet = 40;
/** Failures that are printed. */
const shown = 5;

export const soak: Soak = {
  explain: `
Generated policies and requests, as the fuzz of policies makes them, decided by our evaluator alone. Of each request these
are looked at, a check each: a DENY policy more never allows more; an ALLOW policy more never denies more where there is one;
dry runs change no verdict; order changes nothing, nor do second copies; an engine whose policies were changed one at a
time answers as one made at once; the index finds the very rule that a scan of all rules finds; a path that was normalised
stays as it is.

  --checks N      how many, at least (5,000,000)
  --seed N        of the draw (1)
`,
  async run({ args, say }) {
    const wanted = numberOption(args, "checks", 5_000_000);
    const random = new Random(numberOption(args, "seed", 1));
    const counts = new Map<string, { passed: number; failed: number }>();
    let total = 0;
    let printed = 0;
    const count = ({ property, held }: Checked, base: Case, request: PolicyRequest): void => {
      const sum = counts.get(property) ?? { passed: 0, failed: 0 };
      sum[held ? "passed" : "failed"] += 1;
      counts.set(property, sum);
      total += 1;
      if (held || printed >= shown) return;
      printed += 1;
      say(
        `${property}: does not hold\n${stringify({ ...base, request: { ...request, headers: [...request.headers] } })}`,
      );
    };
    while (total < wanted) {
      const { base, requests } = generate(random, requestsASet);
      const protocol = requests[0]?.protocol ?? "http";
      const one: Case = { ...base, request: { protocol } };
      const other = (generate(random, 1).base.policies ?? []).find((policy) => actionOf(policy) !== "CUSTOM");
      if (other === undefined) continue;
      const check = propertiesOf(one, other);
      const mode = meshOf(base).pathNormalization;
      for (const { tokens: _, ...request } of requests) {
        const { wire } = wireOf({ ...base, request }, new KeyRing(), 0);
        const settled = protocol === "http" ? isSettled(wire.target, mode) : undefined;
        const received = receive(wire, mode);
        if ("status" in received) continue;
        const decided = { ...received.request, claims: claimsOf(random), metadata: request.metadata ?? {} };
        for (const checked of check(decided)) count(checked, one, decided);
        if (settled !== undefined)
          count({ property: "a normalised path stays as it is", held: settled }, one, decided);
      }
    }
    for (const [property, { passed, failed }] of counts)
      say(`${property.padEnd(46)} ${String(passed).padStart(9)} held ${String(failed).padStart(6)} did not`);
    const sum = (key: "passed" | "failed") => [...counts.values()].reduce((all, each) => all + each[key], 0);
    return { passed: sum("passed"), failed: sum("failed") };
  },
};

function claimsOf(random: Random): Readonly<Record<string, unknown>> | undefined {
  if (random.chance(0.4)) return undefined;
  return { iss: random.pick(issuers), sub: random.pick(subjects), ...random.pick(claimSets) };
}
