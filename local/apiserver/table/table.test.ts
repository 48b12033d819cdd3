import { expect, test } from "vitest";
import type { ApiObject } from "../object.ts";
import { humanDuration } from "./duration.ts";
import { findJsonPath } from "./jsonpath.ts";
import { podStatus } from "./pods.ts";

test.for<[number, string]>([
  [0, "0s"],
  [119, "119s"],
  [125, "2m5s"],
  [600, "10m"],
  [3 * 3600 + 300, "3h5m"],
  [30 * 3600, "30h"],
  [4 * 86_400 + 3600, "4d1h"],
  [100 * 86_400, "100d"],
  [3 * 365 * 86_400, "3y"],
])("%d seconds are %s", ([seconds, text]) => {
  expect(humanDuration(seconds * 1000)).toBe(text);
});

test.for<[string, unknown[]]>([
  [".spec.a", [1]],
  ["{.spec.a}", [1]],
  [".spec['x.y/z']", ["dotted"]],
  [".spec.list[0].n", [1]],
  [".spec.list[-1].n", [2]],
  [".spec.list[*].n", [1, 2]],
  ['.spec.list[?(@.kind=="b")].n', [2]],
  [".spec.list[?(@.kind!='b')].n", [1]],
  [".none.of.it", []],
  [".constructor", []],
  [".spec.list[?(@.n > 1)]", []],
])("%s finds %j", ([path, found]) => {
  const value = {
    spec: {
      a: 1,
      "x.y/z": "dotted",
      list: [
        { kind: "a", n: 1 },
        { kind: "b", n: 2 },
      ],
    },
  };
  expect(findJsonPath(value, path)).toEqual(found);
});

function pod(status: object, fields: object = {}): ApiObject {
  const metadata = {
    name: "p",
    uid: "u",
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...fields,
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: { containers: [{ name: "c" }], initContainers: [{ name: "i" }] },
    status,
  };
}

test.for<[object, object, string]>([
  [{ phase: "Pending" }, {}, "Pending"],
  [
    {
      phase: "Running",
      containerStatuses: [{ name: "c", ready: false, state: { waiting: { reason: "CrashLoopBackOff" } } }],
    },
    {},
    "CrashLoopBackOff",
  ],
  [
    { phase: "Failed", containerStatuses: [{ name: "c", state: { terminated: { exitCode: 3 } } }] },
    {},
    "ExitCode:3",
  ],
  [{ phase: "Pending", initContainerStatuses: [{ name: "i", state: { running: {} } }] }, {}, "Init:0/1"],
  [{ phase: "Running" }, { deletionTimestamp: "2026-01-01T00:00:00Z" }, "Terminating"],
])("a pod with status %j is shown as it is", ([status, metadata, shown]) => {
  expect(podStatus(pod(status, metadata))).toBe(shown);
});
