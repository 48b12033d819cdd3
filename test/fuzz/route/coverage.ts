/** Counts how often each kind of match, order, action and default was asked, and how often it decided. */
import type { HttpMatchRequest, HttpRoute, StringMatch } from "../../../api/generated/virtualservices.ts";
import type { Explanation } from "../../../mesh/explain/explanation.ts";
import type { RouteRequest } from "../../../mesh/explain/request.ts";
import type { Config } from "./generate.ts";

export class Coverage {
  private readonly counts = new Map<string, { asked: number; decided: number }>();

  add(mode: string, { tables }: Config, request: RouteRequest, explained: Explanation): void {
    const asked = new Set<string>();
    const decided = new Set<string>([
      `proxy ${mode}`,
      `request ${request.scheme}${request.http2 ? " HTTP/2" : ""}`,
      `outcome ${outcomeOf(explained)}`,
      ...(explained.virtualHost === null || explained.route !== "default" ? [] : ["default route"]),
    ]);
    for (const { spec } of tables) {
      for (const [index, route] of (spec.http ?? []).entries()) {
        const names = [...featuresOf(route), index === 0 ? "order: first route" : "order: a later route"];
        for (const name of names) asked.add(name);
        if (route.name !== undefined && route.name === explained.route)
          for (const name of names) decided.add(name);
      }
      for (const host of spec.hosts ?? [])
        asked.add(host.startsWith("*") ? "host wildcard" : host.includes(".") ? "host full" : "host short");
    }
    for (const name of new Set([...asked, ...decided])) {
      const count = this.counts.get(name) ?? { asked: 0, decided: 0 };
      count.asked += 1;
      if (decided.has(name)) count.decided += 1;
      this.counts.set(name, count);
    }
  }

  /** Kinds of matches, actions and outcomes that decided nothing yet. */
  missing(names: readonly string[]): readonly string[] {
    return names.filter((name) => (this.counts.get(name)?.decided ?? 0) === 0);
  }

  /** One line a name: pairs whose configuration had it, pairs whose answer came by it. */
  table(): string {
    const rows = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
    const width = Math.max(...rows.map(([name]) => name.length));
    const line = (name: string, asked: string | number, decided: string | number) =>
      `${name.padEnd(width)} ${String(asked).padStart(8)} ${String(decided).padStart(8)}`;
    return [
      line("", "present", "decided"),
      ...rows.map(([name, { asked, decided }]) => line(name, asked, decided)),
    ].join("\n");
  }
}

function outcomeOf(explained: Explanation): string {
  if (explained.directResponse !== null) return "direct response";
  if (explained.redirect !== null) return "redirect";
  if (explained.cluster === null) return "nobody takes it";
  if (explained.cluster === "PassthroughCluster") return "passthrough";
  const split = explained.weights.filter(({ share }) => share > 0).length > 1;
  return split ? "forward, split" : explained.weights.length > 1 ? "forward, one of several" : "forward";
}

function featuresOf(route: HttpRoute): string[] {
  const found: string[] = [];
  for (const key of [
    "redirect",
    "directResponse",
    "timeout",
    "retries",
    "rewrite",
    "fault",
    "mirror",
  ] as const)
    found.push(route[key] === undefined ? `default: no ${key}` : `action ${key}`);
  if (route.match === undefined) found.push("match none");
  else if (route.match.length > 1) found.push("match several");
  for (const match of route.match ?? []) found.push(...matchFeatures(match));
  for (const { destination, weight } of route.route ?? []) {
    found.push(destination.subset === undefined ? "destination host" : "destination subset");
    found.push(destination.port === undefined ? "default: destination port" : "destination port");
    if (weight === 0) found.push("weight 0");
  }
  return found;
}

function matchFeatures(match: HttpMatchRequest): string[] {
  const kind = (written: StringMatch) => Object.keys(written)[0] ?? "present";
  const found: string[] = [];
  for (const key of ["uri", "method", "scheme", "authority"] as const)
    if (match[key] !== undefined) found.push(`match ${key} ${kind(match[key])}`);
  for (const key of ["headers", "withoutHeaders", "queryParams"] as const)
    for (const written of Object.values(match[key] ?? {})) found.push(`match ${key} ${kind(written)}`);
  for (const key of ["port", "gateways", "sourceLabels", "sourceNamespace"] as const)
    if (match[key] !== undefined) found.push(`match ${key}`);
  if (match.ignoreUriCase === true) found.push("match uri, case ignored");
  return found;
}
