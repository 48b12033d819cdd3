import { createHash } from "node:crypto";

const halves = new Map<string, 0 | 1>();

/** Which half of its workload's pods a proxy belongs to: stable for the pod's life, even over many pods. */
export function halfOf(proxy: string): 0 | 1 {
  let half = halves.get(proxy);
  if (half === undefined) {
    if (halves.size > 10_000) halves.clear();
    half = ((createHash("sha256").update(proxy).digest()[0] ?? 0) & 1) === 1 ? 1 : 0;
    halves.set(proxy, half);
  }
  return half;
}
