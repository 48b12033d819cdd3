import { expect, test } from "vitest";
import { type ControllerRevision, type DaemonSet, DaemonSetKind } from "../../api/core.ts";
import { outdatedRevisions, planRevisions, templateOf } from "./revision-history.ts";

const owner: DaemonSet = { apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: "agent", uid: "d" } };
const template = (image: string) => ({
  metadata: { labels: { app: "agent" } },
  spec: { containers: [{ name: "main", image }] },
});
const plan = (image: string, revisions: readonly ControllerRevision[]) =>
  planRevisions({ owner, kind: DaemonSetKind, template: template(image), revisions });

test("a new template gets the next number, one that was used before its old revision back", () => {
  const first = plan("v1", []);
  expect(first).toMatchObject({ create: true, current: { revision: 1 } });
  expect(first.current.metadata.labels).toMatchObject({ app: "agent" });
  expect(first.current.data).toMatchObject({ spec: { template: { $patch: "replace" } } });
  expect(templateOf(first.current)).toEqual(template("v1"));
  const second = plan("v2", [first.current]).current;
  expect(second.revision).toBe(2);
  expect(plan("v2", [first.current, second])).toEqual({ current: second, create: false });
  expect(plan("v1", [first.current, second])).toEqual({ current: first.current, create: false, renumber: 3 });
});

test("revisions beyond the limit go, the oldest first, never one in use", () => {
  const revisions = ["v1", "v2", "v3", "v4"].map((image, index) => ({
    ...plan(image, []).current,
    revision: index + 1,
  }));
  const inUse = new Set([revisions[0]?.metadata.name ?? "", revisions[3]?.metadata.name ?? ""]);
  expect(outdatedRevisions(revisions, inUse, 1).map(({ revision }) => revision)).toEqual([2]);
  expect(outdatedRevisions(revisions, inUse, 5)).toEqual([]);
});
