import type { Case, CaseRequest } from "../../../policy/cases/read.ts";

/** Counts how often each field, negation, action and protocol was exercised, a pair each. */
export class Coverage {
  private readonly counts = new Map<string, number>();

  add({ policies = [], mesh }: Case, request: CaseRequest, status: number): void {
    const seen = new Set<string>([
      `protocol ${request.protocol ?? "http"}`,
      `paths ${mesh?.pathNormalization ?? "BASE"}`,
      status === 200 ? "verdict allow" : "verdict deny",
      ...(request.tokens ? ["request with a token"] : []),
      ...(request.gateway ? ["request at a gateway"] : []),
    ]);
    for (const { metadata, spec } of policies) {
      seen.add(`action ${spec?.action ?? "ALLOW"}`);
      if (metadata.annotations) seen.add("dry run");
      for (const rule of spec?.rules ?? []) {
        for (const { source } of rule.from ?? [])
          for (const name of Object.keys(source ?? {})) seen.add(name);
        for (const { operation } of rule.to ?? [])
          for (const name of Object.keys(operation ?? {})) seen.add(name);
        for (const { key, values, notValues } of rule.when ?? []) {
          const kind = key.replace(/\[.*/s, "");
          if (values) seen.add(`when ${kind}`);
          if (notValues) seen.add(`when not ${kind}`);
        }
      }
    }
    for (const name of seen) this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  count(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  /** One line a name. */
  table(): string {
    const width = Math.max(...[...this.counts.keys()].map((name) => name.length));
    return [...this.counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name.padEnd(width)} ${String(count).padStart(9)}`)
      .join("\n");
  }
}
