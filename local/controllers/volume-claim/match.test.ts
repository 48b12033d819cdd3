import { expect, test } from "vitest";
import type { PersistentVolume, PersistentVolumeClaim } from "../../../api/core.ts";
import { volumeFor } from "./match.ts";

function claim(spec: Partial<NonNullable<PersistentVolumeClaim["spec"]>> = {}): PersistentVolumeClaim {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { namespace: "shop", name: "data", uid: "c" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
  };
}

function volume(name: string, storage: string, spec: Partial<NonNullable<PersistentVolume["spec"]>> = {}) {
  const made: PersistentVolume = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name },
    spec: { capacity: { storage }, accessModes: ["ReadWriteOnce"], ...spec },
  };
  return made;
}

const nameOf = (wanted: PersistentVolumeClaim, ...volumes: PersistentVolume[]) =>
  volumeFor(wanted, volumes)?.metadata.name;

test("a claim gets the smallest free volume that fits, its own first", () => {
  const reference = { namespace: "shop", name: "data" };
  expect(nameOf(claim(), volume("big", "5Gi"), volume("fit", "1Gi"), volume("small", "1Mi"))).toBe("fit");
  expect(nameOf(claim(), volume("fit", "1Gi"), volume("own", "1Gi", { claimRef: reference }))).toBe("own");
  const others = { ...reference, uid: "somebody else" };
  expect(nameOf(claim(), volume("taken", "1Gi", { claimRef: others }))).toBeUndefined();
  expect(nameOf(claim({ volumeName: "b" }), volume("a", "1Gi"), volume("b", "1Mi"))).toBe("b");
  expect(nameOf(claim({ storageClassName: "fast" }), volume("a", "1Gi"))).toBeUndefined();
  expect(nameOf(claim({ accessModes: ["ReadWriteMany"] }), volume("a", "1Gi"))).toBeUndefined();
});
