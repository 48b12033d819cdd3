import type { CanarySpec } from "../generated/canaries.ts";
import { below } from "../schema/pointer.ts";
import type { Report } from "./fields.ts";

/** Reports references to objects of other namespaces, where those are forbidden (Flagger's `-no-cross-namespace-refs`). */
export function checkReferences(spec: CanarySpec, namespace: string, report: Report): void {
  const [field, analysis] = spec.analysis
    ? ["/spec/analysis", spec.analysis]
    : ["/spec/canaryAnalysis", spec.canaryAnalysis];
  const check = (at: string, to: string | undefined): void => {
    if (to !== undefined && to !== "" && to !== namespace)
      report(
        below(at, "namespace"),
        `is \`${to}\`, must be \`${namespace}\`: references to other namespaces are forbidden here`,
      );
  };
  for (const [index, { templateRef }] of (analysis?.metrics ?? []).entries())
    check(`${field}/metrics/${index}/templateRef`, templateRef?.namespace);
  for (const [index, { providerRef }] of (analysis?.alerts ?? []).entries())
    check(`${field}/alerts/${index}/providerRef`, providerRef.namespace);
  check("/spec/upstreamRef", spec.upstreamRef?.namespace);
}
