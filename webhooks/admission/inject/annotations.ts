import { parse } from "yaml";
import { scopeAnnotation } from "../../../api/annotations.ts";
import { AnnotationError } from "./annotation-error.ts";
import type { InjectionConfig } from "./config.ts";
import { readTrafficFlags } from "./traffic.ts";

/** What a pod's annotations may change of its sidecar: typed values, never text that becomes part of a manifest. */
export interface SidecarSettings {
  readonly image: string;
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
  readonly logLevel: string;
  readonly rewriteProbes: boolean;
  readonly mergeMetrics: boolean;
  readonly readiness: {
    readonly initialDelaySeconds: number;
    readonly periodSeconds: number;
    readonly failureThreshold: number;
  };
  readonly concurrency?: number;
  /** `learned`: the sidecar gets its own namespace's Services and what its workload has called. */
  readonly scope: "all" | "learned";
  readonly terminationDrainDuration?: string;
  /** Flags of the init container; undefined where the installation redirects nothing. */
  readonly trafficFlags?: readonly string[];
  /** One line each, for who applies the pod: annotations of Istio's that have no effect here. */
  readonly warnings: readonly string[];
}

const sidecar = "sidecar.istio.io/";
const readiness = "readiness.status.sidecar.istio.io/";
const scopes = /^(all|learned)$/;
/** Prefixes under which Istio reads what shapes a sidecar. */
const shaping = [
  sidecar,
  readiness,
  "traffic.sidecar.istio.io/",
  "status.sidecar.istio.io/",
  "proxy.istio.io/",
  "inject.istio.io/",
];
/** Written by injection itself, or not about the sidecar's shape. */
const silent = new Set([`${sidecar}inject`, `${sidecar}status`]);

/**
 * Reads the annotations that fairlead carries out; the others of Istio's are named in `warnings`.
 *
 * None can give the sidecar a privilege, a volume or a variable: those that do so in Istio (`userVolume`,
 * `userVolumeMount`, `bootstrapOverride`, `proxyMetadata`, `discoveryAddress`) have no effect.
 *
 * @param namespaceScope `fairlead.dev/scope` of the namespace, which the pod's own overrules; a wrong one is warned of
 * @throws AnnotationError
 */
export function readSettings(
  annotations: Readonly<Record<string, string>>,
  config: InjectionConfig,
  namespaceScope?: string,
): SidecarSettings {
  const { image, allowedImages, interception } = config;
  const read = new Set<string>(silent);
  const text = (name: string): string | undefined => {
    read.add(name);
    return Object.hasOwn(annotations, name) ? annotations[name] : undefined;
  };
  const matching = (name: string, form: RegExp, allowed: string): string | undefined => {
    const value = text(name);
    if (value !== undefined && !form.test(value)) throw new AnnotationError(name, value, allowed);
    return value;
  };
  const quantity = (name: string) =>
    matching(
      `${sidecar}${name}`,
      /^\d{1,12}(\.\d{1,9})?(m|k|Ki|M|Mi|G|Gi)?$/,
      "a quantity like 100m or 128Mi",
    );
  const whole = (name: string, otherwise: number) =>
    Number(matching(`${readiness}${name}`, /^\d{1,5}$/, "a whole number") ?? otherwise);
  const flag = (name: string, otherwise: boolean) =>
    (matching(name, /^(true|false)$/i, "true or false") ?? String(otherwise)).toLowerCase() === "true";

  const wantedImage = text(`${sidecar}proxyImage`);
  if (wantedImage !== undefined && wantedImage !== image && !allowedImages.includes(wantedImage)) {
    throw new AnnotationError(`${sidecar}proxyImage`, wantedImage, "an image that the installation allows");
  }
  const ownScope = matching(scopeAnnotation, scopes, "all or learned");
  const scope = ownScope ?? namespaceScope ?? "all";
  const proxyConfig = readProxyConfig(text("proxy.istio.io/config"));
  const settings = {
    image: wantedImage ?? image,
    requests: { cpu: quantity("proxyCPU") ?? "100m", memory: quantity("proxyMemory") ?? "128Mi" },
    limits: { cpu: quantity("proxyCPULimit") ?? "2000m", memory: quantity("proxyMemoryLimit") ?? "1Gi" },
    logLevel:
      matching(
        `${sidecar}logLevel`,
        /^(trace|debug|info|warning|error|critical|off)$/,
        "one of Envoy's log levels",
      ) ?? "warning",
    scope: scope === "learned" ? ("learned" as const) : ("all" as const),
    rewriteProbes: flag(`${sidecar}rewriteAppHTTPProbers`, true),
    mergeMetrics: flag("prometheus.istio.io/merge-metrics", true),
    readiness: {
      initialDelaySeconds: whole("initialDelaySeconds", 0),
      periodSeconds: whole("periodSeconds", 15),
      failureThreshold: whole("failureThreshold", 4),
    },
    ...proxyConfig.settings,
    ...(interception === "REDIRECT" ? { trafficFlags: readTrafficFlags(text, config) } : {}),
  };
  if (annotations[`${sidecar}interceptionMode`] === interception) read.add(`${sidecar}interceptionMode`);
  if (annotations["inject.istio.io/templates"] === "sidecar") read.add("inject.istio.io/templates");
  const ignored = Object.keys(annotations).filter(
    (name) => !read.has(name) && shaping.some((prefix) => name.startsWith(prefix)),
  );
  const warnings = [...ignored.sort(), ...proxyConfig.ignored].map(
    (name) => `annotation \`${name}\` has no effect on this sidecar`,
  );
  if (!scopes.test(scope))
    warnings.push(
      `annotation \`${scopeAnnotation}\` of the namespace is \`${scope.slice(0, 80)}\`, which is not all or learned: this sidecar gets all`,
    );
  return { ...settings, warnings };
}

/** Istio's ProxyConfig in YAML or JSON; only what is harmless to take from a pod's author is taken. */
function readProxyConfig(text: string | undefined): {
  readonly settings: Pick<SidecarSettings, "concurrency" | "terminationDrainDuration">;
  readonly ignored: readonly string[];
} {
  const name = "proxy.istio.io/config";
  if (text === undefined) return { settings: {}, ignored: [] };
  let value: unknown;
  try {
    value = text.length > 16_384 ? undefined : parse(text, { maxAliasCount: 0 });
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new AnnotationError(name, "…", "a ProxyConfig in YAML");
  const { concurrency, terminationDrainDuration: drain, ...others } = value as Record<string, unknown>;
  if (concurrency !== undefined && !isThreadCount(concurrency)) {
    throw new AnnotationError(
      `${name}: concurrency`,
      JSON.stringify(concurrency),
      "a whole number up to 128",
    );
  }
  if (drain !== undefined && !isShortDuration(drain)) {
    throw new AnnotationError(
      `${name}: terminationDrainDuration`,
      JSON.stringify(drain),
      "a duration like 5s",
    );
  }
  return {
    settings: {
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(drain === undefined ? {} : { terminationDrainDuration: drain }),
    },
    // this is the default anyway
    ignored: Object.keys(others)
      .filter((key) => key !== "holdApplicationUntilProxyStarts")
      .map((key) => `${name}: ${key}`),
  };
}

function isThreadCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 128;
}

function isShortDuration(value: unknown): value is string {
  return typeof value === "string" && /^\d{1,5}(\.\d{1,9})?(ms|s|m)$/.test(value);
}
