import type { ReadCanary } from "../../api/canary/types.ts";
import type { KubeObject } from "../../api/resource.ts";
import { fluxAnnotations } from "./flux.ts";

/** Where the spec of an object that the user had before the Canary is kept, as Flagger keeps it. */
const originalSpec = "flagger.kubernetes.io/original-configuration";
/** Its labels and annotations, so that it can be given back as it was. */
const originalMetadata = "fairlead.dev/original-metadata";

/** An object with any spec. */
export type WithSpec = KubeObject & { readonly spec?: object };

/** Whether the whole object is ours: made for this Canary, or taken over for it. */
export function isOurs({ object }: ReadCanary, { metadata }: KubeObject): boolean {
  const { uid } = object.metadata;
  const made = metadata.ownerReferences?.some((owner) => owner.controller && owner.uid === uid);
  return made === true || isTakenOver({ metadata });
}

/** Whether an object that the user had before is driven by us until the Canary goes. */
export function isTakenOver({ metadata }: Pick<KubeObject, "metadata">): boolean {
  return metadata.annotations?.[originalSpec] !== undefined;
}

/** The annotations of an object that is taken over: what it was, and what keeps Flux from undoing it. */
export function takeOverAnnotations({ metadata, spec }: WithSpec): Record<string, string> {
  const { labels, annotations } = metadata;
  return {
    ...annotations,
    ...fluxAnnotations,
    [originalSpec]: JSON.stringify(spec),
    [originalMetadata]: JSON.stringify({ labels, annotations }),
  };
}

/** An object as it was when it was taken over; undefined where it was not. */
export function givenBack<T extends WithSpec>(object: T): T | undefined {
  const spec = parse(object.metadata.annotations?.[originalSpec]);
  if (spec === undefined) return undefined;
  const { labels: _labels, annotations, ...metadata } = object.metadata;
  const before = parse(annotations?.[originalMetadata]) ?? { annotations: withoutOurs(annotations) };
  return { ...object, metadata: { ...metadata, ...before }, spec };
}

/** What Flagger took over carries no metadata: ours go, the user's stay. */
function withoutOurs(annotations: Readonly<Record<string, string>> = {}): Record<string, string> {
  const ours = new Set([originalSpec, ...Object.keys(fluxAnnotations)]);
  return Object.fromEntries(
    Object.entries(annotations).filter(([key]) => !ours.has(key) && !key.startsWith("fairlead.dev/")),
  );
}

function parse(text: string | undefined): object | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What a Canary asks of a route that is the user's and of which only weights are ours; undefined where weights do. */
export function beyondWeights({ analysis }: ReadCanary): string | undefined {
  const { strategy, sessionAffinity, preview } = analysis;
  const asked: readonly (readonly [string, boolean])[] = [
    ["mirror", strategy.kind !== "ab-testing" && strategy.mirror !== undefined],
    ["sessionAffinity", sessionAffinity !== undefined],
    ["preview", preview.length > 0],
  ];
  const field = asked.find(([, is]) => is)?.[0];
  return (
    field && `is yours, so only its weights are set: \`analysis.${field}\` needs a route that fairlead makes`
  );
}

/** Whether a rule of a user's route takes part in the split: with `analysis.match` only one that has a match. */
export function takesPart({ analysis }: ReadCanary, matches: number): boolean {
  const { strategy } = analysis;
  return strategy.kind === "blue-green" || strategy.match.length === 0 || matches > 0;
}
