import { isIPv6 } from "node:net";
import type { Logger } from "../../lib/log.ts";
import { findEnvoy } from "../../local/envoy/find.ts";
import type { Answer, CaseResult } from "../../policy/cases/answer.ts";
import { compare, failed } from "../../policy/cases/compare.ts";
import { admitCase, evaluateCase, normalizeCase } from "../../policy/cases/evaluator.ts";
import type { Case } from "../../policy/cases/read.ts";
import { KeyRing } from "../../policy/cases/token.ts";
import { wireOf } from "../../policy/cases/wire.ts";
import type { Form } from "../../policy/envoy/filters.ts";
import { askEnvoy } from "../../policy/harness/cases.ts";
import { ownAddresses } from "../../policy/harness/network.ts";
import { testCertificates } from "./certificates.ts";

export type Engine = "evaluator" | "envoy";

/** Envoys hold so many listeners at a time. */
const batch = 400;

/** Runs cases on one engine. Cases about admission have but one judge, the evaluator's side. */
export async function runCases(
  cases: readonly Case[],
  engine: Engine,
  { logger, form }: { readonly logger: Logger; readonly form: Form },
): Promise<CaseResult[]> {
  const keys = new KeyRing();
  const now = Math.floor(Date.now() / 1000);
  const onEnvoy = engine === "envoy" ? cases.filter(({ kind }) => kind !== "admission") : [];
  const answers = new Map<Case, Answer | Error>();
  if (onEnvoy.length > 0) {
    const binary = await findEnvoy({ fetch: false, logger });
    const sources = onEnvoy.flatMap(({ request }) => request?.source?.ip ?? []);
    ownAddresses(sources.filter((ip) => isIPv6(ip)));
    const certificates = testCertificates();
    for (let from = 0; from < onEnvoy.length; from += batch) {
      const part = onEnvoy.slice(from, from + batch);
      const got = await askEnvoy(part, { keys, now, binary, certificates, form });
      for (const [index, one] of part.entries()) answers.set(one, got[index] ?? new Error("no answer"));
    }
  }
  return cases.map((one) => {
    try {
      const answer = answers.get(one) ?? evaluate(one, keys, now);
      if (answer instanceof Error) return failed(one, answer.message);
      return compare(one, answer, {
        tokens: one.kind === undefined || one.kind === "request" ? wireOf(one, keys, now).tokens : [],
      });
    } catch (error) {
      return failed(one, error instanceof Error ? error.message : String(error));
    }
  });
}

function evaluate(one: Case, keys: KeyRing, now: number): Answer {
  switch (one.kind) {
    case "admission":
      return admitCase(one);
    case "normalize":
      return normalizeCase(one);
    default:
      return evaluateCase(one, keys, now);
  }
}
