import type { Problem } from "../../api/resource.ts";
import { clientCredential, clientCredentialFault, secretUses } from "../model/client-credential.ts";
import { type Credential, refusal } from "../model/credential.ts";
import type { DestinationPolicy } from "../model/destination-policy.ts";
import { reportOn } from "./problem.ts";

/** Secrets that DestinationRules name and nobody can use: connections by them wait until that is mended. */
export function findCredentialProblems(
  policies: readonly DestinationPolicy[],
  credentials: ReadonlyMap<string, Credential>,
): Problem[] {
  const problems: Problem[] = [];
  for (const rule of policies) {
    for (const { secret, mutual, path } of secretUses(rule)) {
      const report = reportOn(rule.source, problems).at(...path);
      const credential = clientCredential(credentials, rule.namespace, secret);
      const fault = clientCredentialFault(credential, mutual) ?? (credential && refusal(credential));
      if (rule.selector === undefined)
        report.problem("credentialName", "sidecars take it from a rule with a workloadSelector only");
      else if (fault !== undefined)
        report.problem("credentialName", `Secret \`${rule.namespace}/${secret}\` ${fault}`);
    }
  }
  return problems;
}
