import { join } from "node:path";
import type { UnreadObject } from "../../../api/resource.ts";
import * as manifests from "../../../cli/demo/manifests.ts";

export interface SlowShopOptions {
  /** Milliseconds until it listens. */
  readonly startDelay: number;
  readonly faultFile?: string;
  /** The versions that it names say which pod answered. */
  readonly namesPods?: boolean;
  /** It ends before it listens. */
  readonly crashes?: boolean;
}

interface PodSpec {
  readonly containers: readonly { readonly env?: readonly object[] }[];
}

/** The demo's shop with the application that starts slowly and ends at once. */
export function slowShop(version: string, options: SlowShopOptions): UnreadObject {
  const { startDelay, faultFile, namesPods = false, crashes = false } = options;
  const object = manifests.shop(version, faultFile);
  const { spec } = object as { readonly spec?: { readonly template: { readonly spec: PodSpec } } };
  if (spec === undefined) throw new Error("the demo's shop has no spec");
  const [container] = spec.template.spec.containers;
  const changed = {
    ...container,
    command: [process.execPath, join(import.meta.dirname, "app.ts")],
    env: [
      ...(container?.env ?? []),
      { name: "START_DELAY", value: String(startDelay) },
      ...(namesPods ? [{ name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] : []),
      ...(crashes ? [{ name: "CRASH", value: "yes" }] : []),
    ],
  };
  const template = { ...spec.template, spec: { ...spec.template.spec, containers: [changed] } };
  return { ...object, spec: { ...spec, template } };
}
