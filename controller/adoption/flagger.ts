import type { Deployment } from "../../api/core.ts";

/** A Flagger that drives Canaries. */
export interface RunningFlagger {
  /** `namespace/name` of its Deployment. */
  readonly deployment: string;
  /** The one namespace that it looks at; all where absent. */
  readonly scope?: string;
  /** Its flags, without dashes: `mesh-provider` → `istio`. */
  readonly flags: ReadonlyMap<string, string>;
}

/** Where Flagger's documentation installs it. */
export const defaultFlaggerNamespaces: readonly string[] = [
  "flagger-system",
  "istio-system",
  "kube-system",
  "linkerd",
  "ingress-nginx",
  "projectcontour",
  "gloo-system",
  "traefik",
  "kuma-system",
  "appmesh-system",
  "knative-serving",
  "apisix",
];

/** Flagger's own image under any registry; its load tester is another one. */
const image = /(^|\/)flagger(:[^/]*)?(@.*)?$/;

/** What a Deployment runs of Flagger; undefined where it is none, or none of its pods is wanted. */
export function readFlagger({ metadata, spec }: Deployment): RunningFlagger | undefined {
  if (spec?.replicas === 0) return undefined;
  const container = spec?.template.spec?.containers.find((one) => image.test(one.image ?? ""));
  if (container === undefined) return undefined;
  const flags = readFlags([...(container.command ?? []), ...(container.args ?? [])]);
  const scope = flags.get("namespace");
  return {
    deployment: `${metadata.namespace ?? "default"}/${metadata.name}`,
    ...(scope && { scope }),
    flags,
  };
}

/** Go's flags: `-name=value`, `--name value`, `-name`. */
function readFlags(args: readonly string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  for (const [index, arg] of args.entries()) {
    const [, name, given] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === undefined) continue;
    const next = args[index + 1];
    flags.set(name, given ?? (next === undefined || next.startsWith("-") ? "true" : next));
  }
  return flags;
}

/** Which Flaggers run, kept by the changes of Deployments: two controllers never write the same objects. */
export interface Flaggers {
  /** @returns whether it changed who drives something */
  seen(deployment: Deployment, isGone: boolean): boolean;
  /** The one that drives the Canaries of a namespace; undefined where none does. */
  beside(namespace: string): RunningFlagger | undefined;
}

export function createFlaggers(believed: readonly string[]): Flaggers {
  const running = new Map<string, RunningFlagger>();

  /** Whoever may run a Deployment in a namespace of his own must not stop the releases of others by its image's name. */
  function believe(flagger: RunningFlagger | undefined): RunningFlagger | undefined {
    const [namespace = ""] = flagger?.deployment.split("/") ?? [];
    if (flagger === undefined || believed.includes(namespace)) return flagger;
    return flagger.scope === undefined || flagger.scope === namespace
      ? { ...flagger, scope: namespace }
      : undefined;
  }

  return {
    seen(deployment, isGone) {
      const key = `${deployment.metadata.namespace ?? "default"}/${deployment.metadata.name}`;
      const flagger = isGone ? undefined : believe(readFlagger(deployment));
      if (flagger === undefined) return running.delete(key);
      const before = running.get(key);
      running.set(key, flagger);
      return before?.scope !== flagger.scope || before === undefined;
    },
    beside(namespace) {
      for (const flagger of running.values())
        if (flagger.scope === undefined || flagger.scope === namespace) return flagger;
      return undefined;
    },
  };
}
