import type { Report } from "./report.ts";

interface Targeting {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targetRef?: Target;
  readonly targetRefs?: readonly Target[];
}

interface Target {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

const allowed = new Set([
  "gateway.networking.k8s.io/Gateway",
  "gateway.networking.k8s.io/GatewayClass",
  "/Service",
  "core/Service",
  "networking.istio.io/ServiceEntry",
]);

/** Checks what a policy is attached to: a selector or targets, never both. */
export function checkTarget(spec: Targeting, report: Report): void {
  const { selector, targetRef, targetRefs = [] } = spec;
  const ways = [selector !== undefined, targetRef !== undefined, targetRefs.length > 0].filter(Boolean);
  if (ways.length > 1) report.error("/spec/selector", "only one of `selector` and `targetRefs` may be set");
  if (selector !== undefined) {
    const labels = Object.entries(selector.matchLabels ?? {});
    if (labels.length === 0)
      report.warning("/spec/selector", "has no labels, so the policy is for the whole namespace");
    for (const [name, value] of labels) {
      if (name === "") report.error("/spec/selector/matchLabels", "a label needs a name");
      if (name.includes("*") || value.includes("*"))
        report.error("/spec/selector/matchLabels", `\`${name}=${value}\`: a selector takes no wildcard`);
    }
  }
  for (const [target, pointer] of [
    ...(targetRef ? ([[targetRef, "/spec/targetRef"]] as const) : []),
    ...targetRefs.map((each, index) => [each, `/spec/targetRefs/${index}`] as const),
  ]) {
    if (!target.name) report.error(`${pointer}/name`, "is required");
    if (target.namespace)
      report.error(`${pointer}/namespace`, "must not be set: a target is of the policy's own namespace");
    if (!allowed.has(`${target.group ?? ""}/${target.kind}`))
      report.error(
        `${pointer}/kind`,
        `is \`${target.group ?? ""}/${target.kind}\`, must be a Gateway, GatewayClass, Service or ServiceEntry`,
      );
  }
}
