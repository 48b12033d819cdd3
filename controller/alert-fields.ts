import type { ReadCanary } from "../api/canary/types.ts";
import type { Alert } from "../api/hooks.ts";
import type { State } from "./decide/state.ts";
import type { Subject } from "./subject.ts";
import { isService } from "./targets/service.ts";

/** Flagger's facts of an alert, and what it leaves out: image, revision, and the check that ended the run. */
export function alertFields({ canary, target, settings }: Subject, state: State): Alert["fields"] {
  const { analysis, progressDeadline, namespace } = canary;
  const { containers = [] } = (target && !isService(target) && target.spec?.template.spec) || {};
  const images = containers.flatMap(({ image }) => image ?? []);
  const { failure, applied } = state;
  const check = state.checks.find(({ name }) => name === failure?.check);
  const fields = {
    Cluster: settings.clusterName ?? "",
    Target: `${canary.target.kind}/${canary.target.name}.${namespace}`,
    Image: images.join(", "),
    Revision: applied ?? "",
    "Failed checks threshold": String(analysis.threshold),
    "Progress deadline": `${progressDeadline / 1000}s`,
    "Traffic routing": routing(canary),
    Reason: failure === undefined ? "" : `${failure.reason}: ${failure.message}`,
    Check: check?.value === undefined ? "" : `${check.name} ${check.value} (wanted ${check.threshold})`,
  };
  return Object.entries(fields)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => ({ name, value }));
}

function routing({ analysis: { strategy } }: ReadCanary): string {
  switch (strategy.kind) {
    case "ab-testing":
      return "A/B Testing";
    case "blue-green":
      return "Blue/Green";
    case "weights":
      return strategy.stepWeight === undefined
        ? `Weight steps: ${strategy.steps.join(",")} max: ${strategy.maxWeight}`
        : `Weight step: ${strategy.stepWeight} max: ${strategy.maxWeight}`;
  }
}
