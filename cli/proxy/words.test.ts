import { expect, test } from "vitest";
import type { SyncStatus } from "../../mesh/debug/contract.ts";
import { diffText, statusTable } from "./words.ts";

const synced = { synced: true, version: "0123456789abcdef", held: 1, lacking: [], leftover: [] };

test("status says of each type whether it is synced, and last what a proxy lacks, in Envoy's words", () => {
  const status: SyncStatus = {
    proxy: "demo/web-1",
    id: "sidecar~10.1.0.1~web-1.demo~demo.svc.cluster.local",
    kind: "sidecar",
    since: "2026-01-01T00:00:00.000Z",
    synced: false,
    types: {
      listener: synced,
      route: { ...synced, synced: false, lacking: ["80", "81", "82", "83", "84"] },
      cluster: { ...synced, leftover: ["outbound|80||old"] },
      endpoint: { ...synced, synced: false, refused: "no such\nfield" },
    },
  };
  const lines = statusTable([status], Date.parse("2026-01-01T00:01:30Z")).split("\n");
  expect(lines.map((line) => line.split(/ {3,}/))).toEqual([
    ["NAME", "SINCE", "LISTENERS", "ROUTES", "CLUSTERS", "ENDPOINTS", "RUNTIME", "SECRETS", "LACKING"],
    [
      "demo/web-1",
      "90s",
      "synced 01234567",
      "not synced 01234567",
      "synced 01234567",
      "refused 01234567",
      "-",
      "-",
      "routes: 80, 81, 82 and 2 more; clusters to forget: outbound|80||old; endpoints refused: no such field",
    ],
  ]);
});

test("diff has a line for each resource and field that is not as wanted", () => {
  const fields = [
    { field: "/connectTimeout", wanted: "10s", running: "5s" },
    { field: "/name", running: "x" },
  ];
  const differing = [{ name: "a", fields }];
  expect(
    diffText({
      cluster: { same: 2, missing: ["new"], extra: ["stale"], differing },
      route: { same: 1, missing: [], extra: [], differing: [] },
    }).split("\n"),
  ).toEqual([
    "routes: as wanted (1)",
    "clusters: 2 as wanted, 3 not",
    "  - new: wanted, not there",
    "  + stale: there, not wanted",
    "  ~ a",
    '    - /connectTimeout "10s"',
    '    + /connectTimeout "5s"',
    '    + /name "x"',
  ]);
});
