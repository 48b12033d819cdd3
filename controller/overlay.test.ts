import { expect, test } from "vitest";
import { ServiceKind } from "../api/core.ts";
import type { KubeObject } from "../api/resource.ts";
import { snapshotOf } from "../kube/snapshot.ts";
import { createOverlay } from "./overlay.ts";

function service(resourceVersion: string, uid = "a"): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "demo", name: "shop", uid, resourceVersion },
  };
}

const overlay = () => createOverlay({ monotonic: () => 0 });

test("what was written is seen before the watch brings it", () => {
  const seen = overlay();
  seen.wrote(ServiceKind, service("7"));
  const view = seen.view(snapshotOf([service("5")]));
  expect(view.get(ServiceKind, "demo", "shop")?.metadata.resourceVersion).toBe("7");
});

test("the echo of a write says since when views have had it", () => {
  const seen = overlay();
  seen.wrote(ServiceKind, { ...service("6"), metadata: { ...service("6").metadata, name: "other" } });
  const before = seen.turn();
  seen.wrote(ServiceKind, service("7"));
  const echo = seen.seen(ServiceKind, service("7"), false);
  expect(echo).toBeGreaterThan(before);
  expect(echo).toBe(seen.turn());
});

test("of two writes to an object the first one's echo is known since the second", () => {
  const seen = overlay();
  seen.wrote(ServiceKind, service("7"));
  seen.wrote(ServiceKind, service("8"));
  expect(seen.seen(ServiceKind, service("7"), false)).toBe(seen.turn());
  expect(seen.seen(ServiceKind, service("8"), false)).toBe(seen.turn());
});

test.each([
  ["nobody here wrote it", service("7"), false, false],
  ["somebody wrote after us", service("9"), true, false],
  ["it is gone", service("8"), true, true],
  ["another object has its name", service("7", "b"), true, false],
])("news: %s", (_, object, written, isGone) => {
  const seen = overlay();
  if (written) seen.wrote(ServiceKind, service("8"));
  expect(seen.seen(ServiceKind, object, isGone)).toBeUndefined();
});
