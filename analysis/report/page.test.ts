import { expect, test } from "vitest";
import { readRecord } from "../record/format.ts";
import { faultyWorld } from "../simulate/scenarios.ts";
import { recordRun, settingsOf } from "../testing/recorded-run.ts";
import { drawPanel, timeText } from "./chart.ts";
import { buildReport } from "./page.ts";

const rolledBack = readRecord(
  recordRun(faultyWorld("errors 10%", 100, 0.001, 40), settingsOf({ sequential: {} })).text,
);

test("a report says how the run ended, by which evidence, with a picture of each kind", () => {
  const page = buildReport(rolledBack);
  expect(page).toContain("<b>Rolled back</b>");
  expect(page).toMatch(/errors [\d.]+ % against [\d.]+ %: odds .*:1, rolling back/);
  for (const picture of ["Success rate", "Latency", "Weight", "Evidence", "Verdicts"])
    expect(page).toContain(`<h2>${picture}`);
  expect(page.match(/<svg /g)).toHaveLength(5);
  expect(page).toContain('<rect class="rollback"');
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
});

test("a report says how many users a shield rescued", () => {
  const rows = rolledBack.rows.map((row) =>
    row.k === "end" ? { ...row, rescues: { rescued: 28, notRescued: 0 } } : row,
  );
  expect(buildReport({ ...rolledBack, rows })).toContain(
    "Shield: the primary answered 28 users in the canary&#39;s place, 0 met its failure.",
  );
  expect(buildReport(rolledBack)).not.toContain("Shield");
});

test("it stands alone: no script, nothing to fetch", () => {
  const page = buildReport(rolledBack);
  expect(page).not.toMatch(/<script|<link|<img|src=|@import|url\(|https?:/);
  expect(page).toContain("default-src 'none'");
});

test("what users wrote is text, never markup", () => {
  const evil = '<img src=x onerror="alert(1)">';
  const page = buildReport({
    head: { ...rolledBack.head, canary: evil, revision: evil },
    rows: [
      ...rolledBack.rows,
      { k: "checks", t: 1, checks: [{ name: evil, kind: "failed", threshold: "", reason: evil }] },
      { k: "end", t: 2, outcome: "rolled back", message: evil },
    ],
  });
  expect(page).not.toContain("<img");
  expect(page).toContain("&lt;img");
});

test.for([
  ["an empty one", { ...rolledBack, rows: [] }],
  ["one without a judge", { ...rolledBack, head: { ...rolledBack.head, judge: null } }],
  ["one that has not ended", { ...rolledBack, rows: rolledBack.rows.filter(({ k }) => k !== "end") }],
] as const)("a record is shown whatever is missing: %s", ([, record]) => {
  const page = buildReport(record);
  expect(page).toContain("</html>");
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
});

test("a line is broken where nothing was measured, and stays in its panel", () => {
  const svg = drawPanel(
    {
      x: [0, 10],
      y: [0, 1],
      format: String,
      lines: [
        {
          label: "a",
          style: "canary",
          points: [
            { x: 0, y: 0 },
            { x: 1, y: 1 },
            { x: 2, y: undefined },
            { x: 3, y: 0.5 },
          ],
        },
      ],
    },
    "test",
  );
  expect(/ d="([^"]*)"/.exec(svg)?.[1]?.match(/M/g)).toHaveLength(2);
});

test.for([
  [45, "45 s"],
  [150, "2:30"],
  [3905, "1:05:05"],
  [-30, "−30 s"],
] as const)("%i seconds are %s", ([seconds, text]) => expect(timeText(seconds)).toBe(text));
