import { isDeepStrictEqual } from "node:util";
import type { JsonValue } from "@bufbuild/protobuf";
import { rewriteResource } from "../build/readable.ts";
import type { ResourceType } from "../build/resource.ts";
import type { DumpedResource, ProxyDump } from "./contract.ts";
import { listOf, objectOf } from "./json.ts";
import type { Running } from "./running.ts";

/** One place in which two resources differ; a side that has nothing there is absent. */
export interface FieldDifference {
  /** JSON Pointer (RFC 6901) into the resource. */
  readonly field: string;
  readonly wanted?: JsonValue;
  readonly running?: JsonValue;
}

/** What the control plane wants of one type, against what Envoy runs. */
export interface TypeDifference {
  /** How many are equal. */
  readonly same: number;
  /** Wanted and not running. */
  readonly missing: readonly string[];
  /** Running and not wanted. */
  readonly extra: readonly string[];
  readonly differing: readonly { readonly name: string; readonly fields: readonly FieldDifference[] }[];
}

/** Of these an Envoy holds others too: of the agent, or made of clusters that have their addresses in themselves. */
const othersToo: ReadonlySet<ResourceType> = new Set(["endpoint", "secret", "runtime"]);

/** Compares what a proxy should hold with what its Envoy says; types of which `running` knows nothing count as empty. */
export function compareDump(
  { resources }: ProxyDump,
  running: Running,
): Readonly<Partial<Record<ResourceType, TypeDifference>>> {
  const entries = Object.entries(resources) as [ResourceType, readonly DumpedResource[]][];
  return Object.fromEntries(
    entries
      .filter(([type]) => type !== "runtime")
      .map(([type, wanted]) => [type, compareType(type, wanted, running.get(type) ?? new Map())]),
  );
}

function compareType(
  type: ResourceType,
  wanted: readonly DumpedResource[],
  running: ReadonlyMap<string, JsonValue>,
): TypeDifference {
  const missing: string[] = [];
  const differing: { name: string; fields: readonly FieldDifference[] }[] = [];
  for (const { name, resource } of wanted) {
    const there = running.get(name);
    if (there === undefined) {
      missing.push(name);
      continue;
    }
    const fields = type === "endpoint" ? compareEndpoints(resource, there) : compareResource(resource, there);
    if (fields.length > 0) differing.push({ name, fields });
  }
  const names = new Set(wanted.map(({ name }) => name));
  const extra = othersToo.has(type) ? [] : [...running.keys()].filter((name) => !names.has(name)).sort();
  return { same: wanted.length - missing.length - differing.length, missing, extra, differing };
}

function compareResource(wanted: JsonValue, running: JsonValue): readonly FieldDifference[] {
  try {
    return differences(wanted, rewriteResource(running));
  } catch {
    return [
      { field: "", running: "holds what fairlead cannot read: another program may have configured it" },
    ];
  }
}

/** Every place in which two JSON values differ, the whole of what only one of them has. */
export function differences(wanted: JsonValue, running: JsonValue, at = ""): readonly FieldDifference[] {
  if (isDeepStrictEqual(wanted, running)) return [];
  const [ours, theirs] = [childrenOf(wanted), childrenOf(running)];
  if (ours === undefined || theirs === undefined || Array.isArray(wanted) !== Array.isArray(running))
    return [{ field: at, wanted, running }];
  const keys = new Set([...ours.keys(), ...theirs.keys()]);
  return [...keys].flatMap((key): readonly FieldDifference[] => {
    const field = `${at}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const [our, their] = [ours.get(key), theirs.get(key)];
    if (our !== undefined && their !== undefined) return differences(our, their, field);
    return [
      { field, ...(our !== undefined && { wanted: our }), ...(their !== undefined && { running: their }) },
    ];
  });
}

function childrenOf(value: JsonValue): ReadonlyMap<string, JsonValue> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return new Map(Object.entries(value));
}

/**
 * Endpoints are told as Envoy's load balancer has them (with health, in another order), so addresses, priorities and
 * weights are compared alone.
 */
function compareEndpoints(wanted: JsonValue, running: JsonValue): readonly FieldDifference[] {
  let rewritten: JsonValue;
  try {
    const type = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
    rewritten = rewriteResource({ "@type": type, ...objectOf(running) });
  } catch {
    return [
      { field: "", running: "holds what fairlead cannot read: another program may have configured it" },
    ];
  }
  const [ours, theirs] = [endpointsOf(wanted), endpointsOf(rewritten)];
  const fields: FieldDifference[] = [];
  for (const [field, value] of ours)
    if (theirs.get(field) !== value) {
      const other = theirs.get(field);
      fields.push({ field, wanted: value, ...(other !== undefined && { running: other }) });
    }
  for (const [field, value] of theirs) if (!ours.has(field)) fields.push({ field, running: value });
  return fields;
}

/** Priority and weight by address. */
function endpointsOf(assignment: JsonValue): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const locality of listOf(objectOf(assignment).endpoints).map(objectOf)) {
    for (const entry of listOf(locality.lbEndpoints).map(objectOf)) {
      const { address } = objectOf(entry.endpoint);
      const socket = objectOf(objectOf(address).socketAddress);
      const key =
        socket.address === undefined
          ? JSON.stringify(address)
          : `/${text(socket.address)}:${text(socket.portValue)}`;
      found.set(
        key,
        `priority ${text(locality.priority ?? 0)}, weight ${text(entry.loadBalancingWeight ?? 1)}`,
      );
    }
  }
  return found;
}

const text = (value: JsonValue | undefined): string =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "");

/** The runtime layer: values by key, of numbers that the two write in different ways. */
export function compareRuntime(
  { resources }: ProxyDump,
  running: ReadonlyMap<string, string>,
): TypeDifference {
  const layer = objectOf(objectOf(resources.runtime?.find(({ name }) => name === "fl")?.resource).layer);
  const differing: { name: string; fields: readonly FieldDifference[] }[] = [];
  const missing: string[] = [];
  for (const [key, wanted] of Object.entries(layer)) {
    const value = running.get(key);
    if (value === undefined) missing.push(key);
    else if (Number(value) !== Number(wanted))
      differing.push({ name: key, fields: [{ field: "", wanted, running: value }] });
  }
  const extra = [...running.keys()].filter((key) => layer[key] === undefined).sort();
  return { same: Object.keys(layer).length - missing.length - differing.length, missing, extra, differing };
}
