import type { ResourceType } from "../../mesh/build/resource.ts";
import type { TypeDifference } from "../../mesh/debug/compare.ts";
import type { DumpedResource, ProxyDump, SyncStatus } from "../../mesh/debug/contract.ts";
import { ageOf } from "../output/duration.ts";
import { formatTable } from "../output/table.ts";

/** The types as users name them, in the order in which they are shown. */
export const typeWords = {
  listeners: "listener",
  routes: "route",
  clusters: "cluster",
  endpoints: "endpoint",
  runtime: "runtime",
  secrets: "secret",
} as const satisfies Record<string, ResourceType>;

const columns = Object.entries(typeWords);
/** Names that a line shows before it counts. */
const shownNames = 3;
/** Differing fields of a resource that are shown before they are counted. */
const shownFields = 10;
const longestValue = 100;

/** `proxy status`: a line a proxy; what is not as it should be in the last column. */
export function statusTable(proxies: readonly SyncStatus[], now: number): string {
  const rows = proxies.map((status) => [
    status.proxy,
    ageOf(status.since, now),
    ...columns.map(([, type]) => {
      const state = status.types[type];
      if (state === undefined) return "-";
      const word = state.refused !== undefined ? "refused" : state.synced ? "synced" : "not synced";
      return `${word} ${state.version.slice(0, 8)}`;
    }),
    lackOf(status),
  ]);
  return formatTable(["NAME", "SINCE", ...columns.map(([word]) => word.toUpperCase()), "LACKING"], rows);
}

function lackOf({ types }: SyncStatus): string {
  const lacks = columns.flatMap(([word, type]) => {
    const { lacking = [], leftover = [], refused } = types[type] ?? {};
    return [
      ...(refused === undefined ? [] : [`${word} refused: ${clipped(refused.replaceAll("\n", " "))}`]),
      ...(lacking.length === 0 ? [] : [`${word}: ${someOf(lacking)}`]),
      ...(leftover.length === 0 ? [] : [`${word} to forget: ${someOf(leftover)}`]),
    ];
  });
  return lacks.length === 0 ? "nothing" : lacks.join("; ");
}

function someOf(names: readonly string[]): string {
  const more = names.length - shownNames;
  return names.slice(0, shownNames).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** `proxy config`: a line a resource. */
export function configTable({ resources }: ProxyDump): string {
  const rows = columns.flatMap(([word, type]) =>
    (resources[type] ?? []).map(({ name, version, held, resource }: DumpedResource) => [
      word,
      name,
      version,
      held ? "yes" : "no",
      sizeOf(type, resource),
    ]),
  );
  if (rows.length === 0) return "it asked for nothing of this";
  return formatTable(["TYPE", "NAME", "VERSION", "HELD", "HAS"], rows);
}

/** How much is in a resource, where that says something. */
function sizeOf(type: ResourceType, resource: DumpedResource["resource"]): string {
  const field = { listener: "filterChains", route: "virtualHosts", endpoint: "endpoints" } as const;
  if (type !== "listener" && type !== "route" && type !== "endpoint") return "";
  const parts: unknown = Object.entries(resource ?? {}).find(([name]) => name === field[type])?.[1];
  const list: readonly unknown[] = Array.isArray(parts) ? parts : [];
  if (type === "listener") return counted(list.length, "filter chain");
  if (type === "route") return counted(list.length, "virtual host");
  const endpoints = (list as readonly { readonly lbEndpoints?: readonly unknown[] }[]).reduce(
    (sum, { lbEndpoints = [] }) => sum + lbEndpoints.length,
    0,
  );
  return counted(endpoints, "endpoint");
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

/** `proxy diff`: what is not as it should be, a line each; `-` is wanted, `+` is running. */
export function diffText(types: Readonly<Partial<Record<ResourceType, TypeDifference>>>): string {
  return columns
    .flatMap(([word, type]) => {
      const difference = types[type];
      return difference === undefined ? [] : diffLines(word, difference);
    })
    .join("\n");
}

function diffLines(word: string, { same, missing, extra, differing }: TypeDifference): readonly string[] {
  const total = missing.length + extra.length + differing.length;
  if (total === 0) return [`${word}: as wanted (${same})`];
  return [
    `${word}: ${same} as wanted, ${total} not`,
    ...missing.map((name) => `  - ${name}: wanted, not there`),
    ...extra.map((name) => `  + ${name}: there, not wanted`),
    ...differing.flatMap(({ name, fields }) => [
      `  ~ ${name}`,
      ...fields
        .slice(0, shownFields)
        .flatMap(({ field, wanted, running }) => [
          ...(wanted === undefined ? [] : [`    - ${field} ${clipped(JSON.stringify(wanted))}`]),
          ...(running === undefined ? [] : [`    + ${field} ${clipped(JSON.stringify(running))}`]),
        ]),
      ...(fields.length > shownFields ? [`    and ${fields.length - shownFields} more fields`] : []),
    ]),
  ];
}

function clipped(text: string): string {
  return text.length > longestValue ? `${text.slice(0, longestValue)}…` : text;
}
