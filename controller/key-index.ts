import type { ReadCanary } from "../api/canary/types.ts";
import type { Canary } from "../api/kinds.ts";
import { chooseRouter } from "./routers/choose.ts";

/** Which canaries an object belongs to, by kind, namespace and name: a change costs a look-up, not a search. */
export interface KeyIndex {
  /** What this canary depends on from now on. */
  set(key: string, dependencies: readonly string[]): void;
  remove(key: string): void;
  of(dependency: string): Iterable<string>;
}

export function createKeyIndex(): KeyIndex {
  /** Nearly all have one: an array of one is a quarter of a Set's size. */
  const byDependency = new Map<string, readonly string[]>();
  const byKey = new Map<string, readonly string[]>();

  function of(dependency: string): readonly string[] {
    return byDependency.get(dependency) ?? [];
  }

  function remove(key: string): void {
    for (const dependency of byKey.get(key) ?? []) {
      const others = of(dependency).filter((one) => one !== key);
      if (others.length === 0) byDependency.delete(dependency);
      else byDependency.set(dependency, others);
    }
    byKey.delete(key);
  }

  return {
    set(key, dependencies) {
      const before = byKey.get(key);
      if (before?.length === dependencies.length && before.every((one, index) => one === dependencies[index]))
        return;
      remove(key);
      byKey.set(key, dependencies);
      for (const dependency of new Set(dependencies)) byDependency.set(dependency, [...of(dependency), key]);
    },
    remove,
    of,
  };
}

export function dependency(kind: string, namespace: string | undefined, name: string): string {
  return `${kind.toLowerCase()}/${namespace ?? ""}/${name}`;
}

/** The objects whose changes a canary must see. `configs`: keys as `configmap/<name>`. */
export function dependenciesOf(canary: ReadCanary, configs: readonly string[]): readonly string[] {
  const { namespace, names, autoscaler, target } = canary;
  const router = chooseRouter(canary);
  const { ingressRef } = canary.object.spec;
  const services = [names.apexService, names.primaryService, names.canaryService];
  return [
    dependency(target.kind, namespace, names.canaryWorkload),
    dependency(target.kind, namespace, names.primaryWorkload),
    ...services.map((name) => dependency("Service", namespace, name)),
    ...router.kinds.flatMap(({ kind }) =>
      [names.apexService, names.primaryService, names.canaryService].map((name) =>
        dependency(kind, namespace, name),
      ),
    ),
    ...(ingressRef
      ? ["", "-canary"].map((end) => dependency("Ingress", namespace, `${ingressRef.name}${end}`))
      : []),
    ...(autoscaler
      ? ["", "-primary"].map((end) => dependency(autoscaler.kind, namespace, `${autoscaler.name}${end}`))
      : []),
    ...canary.analysis.metrics.flatMap((metric) =>
      metric.kind === "template"
        ? [dependency("MetricTemplate", metric.template.namespace, metric.template.name)]
        : [],
    ),
    ...configs.map((config) => {
      const [kind = "", name = ""] = config.split("/");
      return dependency(kind, namespace, name);
    }),
  ];
}

/** Names a Canary in queues and shards: `namespace/name`. */
export function keyOf({ metadata }: Pick<Canary, "metadata">): string {
  return `${metadata.namespace ?? "default"}/${metadata.name}`;
}
