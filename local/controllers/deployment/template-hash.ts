import type { PodTemplateSpec } from "../../../api/core.ts";

export const hashLabel = "pod-template-hash";

/** As Kubernetes': no vowels, so that no word comes out. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** Names one pod template: the suffix of its ReplicaSet and its `pod-template-hash`. `collisions` moves it away from a taken name. */
export function podTemplateHash(template: PodTemplateSpec, collisions = 0): string {
  const text = `${collisions || ""}${stableJson(template)}`;
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) {
    hash ^= byte;
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return Array.from(String(hash))
    .map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length])
    .join("");
}

/** Whether two templates make the same pods; the hash label itself does not count. */
export function equalTemplates(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return stableJson(withoutHash(a)) === stableJson(withoutHash(b));
}

function withoutHash(template: PodTemplateSpec | undefined): PodTemplateSpec | undefined {
  if (!template?.metadata?.labels) return template;
  const { [hashLabel]: _, ...labels } = template.metadata.labels;
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** JSON with sorted keys, without nulls and empty objects: what a server adds or drops in storing changes nothing. */
function stableJson(value: unknown): string {
  return JSON.stringify(tidy(value)) ?? "";
}

function tidy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tidy);
  if (typeof value !== "object" || value === null) return value ?? undefined;
  const entries = Object.entries(value)
    .map(([key, item]) => [key, tidy(item)] as const)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
