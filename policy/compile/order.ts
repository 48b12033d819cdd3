import type { Rule } from "../model.ts";

/** A text whose UTF-16 order is the byte order of `id`: Envoy keeps rules by it and reports the first that matches. */
export function orderOf(id: string): string {
  return /[\u0080-\uffff]/.test(id) ? Buffer.from(id).toString("latin1") : id;
}

export function byId(a: Rule, b: Rule): number {
  const left = orderOf(a.id);
  const right = orderOf(b.id);
  return left < right ? -1 : left > right ? 1 : 0;
}
