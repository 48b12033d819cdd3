import { parse } from "yaml";
import { type ConfigMap, ConfigMapKind, type Service, ServiceKind } from "../api/core.ts";
import { type Problem, refOf } from "../api/resource.ts";
import type { Informers } from "../kube/contract.ts";
import type { MeshSettings } from "../policy/compile/mesh.ts";
import { type PathNormalization, pathNormalizations } from "../policy/path/normalize.ts";
import { serviceHost } from "./model/names.ts";

/** The ConfigMap of Istio's MeshConfig, and the key in it. */
export const configMapName = "istio";
const configKey = "mesh";

export interface PolicySettings {
  /** The same object while nothing of it changes. */
  readonly current: () => MeshSettings;
  /** What of the ConfigMap cannot be carried out. */
  problems(): readonly Problem[];
  /** Returns what removes the listener. */
  onChange(listener: () => void): () => void;
  close(): void;
}

/**
 * What policies depend on of the mesh's settings, followed in ConfigMap `istio`, key `mesh` (MeshConfig):
 * `trustDomainAliases`, `pathNormalization.normalization`, `extensionProviders`, and `enableMultipleCustomAuthzProviders`,
 * which is a variable of istiod there. A text that cannot be read changes nothing and is told as a problem.
 *
 * The services that providers name are followed as well: one that is not there is not asked, so what its policies match
 * is denied.
 *
 * @param base what holds where the ConfigMap says nothing; `rootNamespace` is where it stands
 */
export async function followPolicySettings(
  informers: Informers,
  base: MeshSettings,
): Promise<PolicySettings> {
  await informers.watch(ConfigMapKind, ServiceKind);
  const listeners = new Set<() => void>();
  let read: { readonly from: ConfigMap | undefined; readonly settings: MeshSettings } = {
    from: undefined,
    settings: base,
  };
  let problems: readonly Problem[] = [];
  let settings = base;
  let text = "";

  function follow(): void {
    const config = informers.snapshot().get(ConfigMapKind, base.rootNamespace, configMapName);
    if (config !== read.from) {
      const found: Problem[] = [];
      read = { from: config, settings: readMeshConfig(config, base, found) ?? read.settings };
      problems = found;
    }
    const known = servicePorts(
      read.settings.extensionProviders.length === 0 ? [] : informers.snapshot().list(ServiceKind),
    );
    const isKnownService = (host: string, port: number) => known.has(`${host}:${port}`);
    const next = JSON.stringify([
      read.settings,
      providerServices(read.settings).map((key) => known.has(key)),
    ]);
    if (next === text) return;
    text = next;
    settings = { ...read.settings, isKnownService };
    for (const listener of listeners) listener();
  }

  follow();
  const stop = [
    informers.onChange(ConfigMapKind, ({ object }) => {
      if (object.metadata.name === configMapName && object.metadata.namespace === base.rootNamespace)
        follow();
    }),
    informers.onChange(ServiceKind, () => {
      if (read.settings.extensionProviders.length > 0) follow();
    }),
  ];
  return {
    current: () => settings,
    problems: () => problems,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      for (const end of stop) end();
    },
  };
}

/** `host:port` of each port of Services. */
export function servicePorts(services: readonly Service[]): ReadonlySet<string> {
  return new Set(
    services.flatMap(({ metadata, spec }) =>
      (spec?.ports ?? []).map(
        ({ port }) => `${serviceHost(metadata.name, metadata.namespace ?? "", "cluster.local")}:${port}`,
      ),
    ),
  );
}

/** `host:port` of each authorizer. */
function providerServices({ extensionProviders }: MeshSettings): string[] {
  return extensionProviders.flatMap((provider) => {
    if (!isRecord(provider)) return [];
    const spec = provider.envoyExtAuthzGrpc ?? provider.envoyExtAuthzHttp;
    return isRecord(spec) ? [`${String(spec.service).split("/").at(-1)}:${String(spec.port)}`] : [];
  });
}

/** The settings that a ConfigMap gives, in the place of `base`; undefined where it cannot be read, which is told. */
export function readMeshConfig(
  config: ConfigMap | undefined,
  base: MeshSettings,
  problems: Problem[],
): MeshSettings | undefined {
  if (config === undefined) return base;
  const problem = (field: string, message: string) =>
    problems.push({ resource: refOf(config), field: `/data/${configKey}${field}`, message });
  let mesh: unknown;
  try {
    mesh = parse(config.data?.[configKey] ?? "", { maxAliasCount: 100 }) ?? {};
  } catch {
    problem("", "is no YAML; what was read before stays in force");
    return undefined;
  }
  if (!isRecord(mesh)) {
    problem("", "must be an object (MeshConfig); what was read before stays in force");
    return undefined;
  }
  return {
    ...base,
    trustDomainAliases: texts(mesh.trustDomainAliases),
    pathNormalization: readMode(mesh.pathNormalization, base.pathNormalization, problem),
    extensionProviders: Array.isArray(mesh.extensionProviders) ? mesh.extensionProviders : [],
    severalAuthorizers: mesh.enableMultipleCustomAuthzProviders === true,
  };
}

/** An unknown mode is taken as the one that refuses most. */
function readMode(
  value: unknown,
  otherwise: PathNormalization,
  problem: (field: string, message: string) => void,
): PathNormalization {
  const name = isRecord(value) ? value.normalization : undefined;
  if (name === undefined || name === "DEFAULT") return otherwise;
  const mode = pathNormalizations.find((each) => each === name);
  if (mode !== undefined) return mode;
  problem(
    "/pathNormalization/normalization",
    `\`${typeof name === "string" ? name : JSON.stringify(name)}\` must be one of ${pathNormalizations.join(", ")}; STRICT is used`,
  );
  return "STRICT";
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
