import type { Row, RunRecord } from "../record/format.ts";
import { exposedAt } from "../record/replay.ts";
import type { RunView } from "./bins.ts";
import { escapeText, type Panel, size, timeText, xScale } from "./chart.ts";

const rowHeight = 20;

/** The judge's verdict and each check's results over time, a row each, as an SVG element. */
export function drawVerdicts(record: RunRecord, view: RunView): string {
  const range: Panel["x"] = [view.from, view.to];
  const x = xScale(range);
  const began = exposedAt(record) ?? 0;
  const ticks = record.rows.flatMap((row) =>
    row.k === "checks" ? [{ t: (row.t - began) / 1000, checks: row.checks }] : [],
  );
  const names = [...new Set(ticks.flatMap(({ checks }) => checks.map(({ name }) => name)))];
  const judged = view.bins.some(({ evidence }) => evidence !== undefined);
  const height = ((judged ? 1 : 0) + names.length) * rowHeight + 8;
  const parts: string[] = [];
  let top = 4;
  if (judged) {
    parts.push(rowName("judge", top));
    for (const { from, to, evidence } of view.bins) {
      if (evidence === undefined) continue;
      const title = `${timeText(from)}: ${evidence.verdict === "none" ? "nothing against it" : evidence.verdict}, ${evidence.harm.toFixed(2)} of ${evidence.rollbackAt.toFixed(2)} nats`;
      parts.push(
        `<rect class="${evidence.verdict}" x="${x(from)}" y="${top + 4}" width="${Math.max(1, x(to) - x(from)).toFixed(1)}" height="11"><title>${escapeText(title)}</title></rect>`,
      );
    }
    top += rowHeight;
  }
  for (const name of names) {
    parts.push(rowName(name, top));
    for (const { t, checks } of ticks) {
      const check = checks.find((one) => one.name === name);
      if (check === undefined) continue;
      const title = `${timeText(t)}: ${check.kind}, ${check.reason}`;
      parts.push(
        `<circle class="${check.kind}" cx="${x(t)}" cy="${top + 10}" r="4.5"><title>${escapeText(title)}</title></circle>`,
      );
    }
    top += rowHeight;
  }
  return parts.length === 0
    ? ""
    : `<svg viewBox="0 0 ${size.width} ${height}" role="img" aria-label="verdicts over time">${parts.join("")}</svg>`;
}

function rowName(name: string, top: number): string {
  const shown = name.length > 17 ? `${name.slice(0, 16)}…` : name;
  return `<text class="tick" x="${size.width - size.right + 8}" y="${top + 14}">${escapeText(shown)}</text>`;
}

export interface Happening {
  /** Seconds since the first weight. */
  readonly t: number;
  readonly text: string;
  readonly tone: "" | "good" | "bad" | "wait";
}

/** What happened, in order: weights, checks whose result changed, the verdict, the end. */
export function listHappenings({ rows }: RunRecord, began: number): readonly Happening[] {
  const results = new Map<string, string>();
  return rows.flatMap((row): Happening[] => {
    const t = (row.t - began) / 1000;
    if (row.k !== "checks") return describeRow(row).map((told) => ({ t, ...told }));
    return row.checks.flatMap(({ name, kind, reason }): Happening[] => {
      if (results.get(name) === kind) return [];
      results.set(name, kind);
      const tone = kind === "passed" ? "good" : kind === "failed" ? "bad" : "wait";
      return [{ t, text: `check ${name} ${kind}: ${reason}`, tone }];
    });
  });
}

function describeRow(row: Exclude<Row, { k: "checks" }>): Omit<Happening, "t">[] {
  switch (row.k) {
    case "weight":
      return [{ text: `weight ${row.weight} %`, tone: "" }];
    case "harm":
      return [{ text: `${row.by === "trip-wire" ? "trip wire" : "judge"}: ${row.reason}`, tone: "bad" }];
    case "resumed":
      return [{ text: "the control plane was started again and went on", tone: "wait" }];
    case "full":
      return [{ text: "the record is full: windows after this are not in it", tone: "wait" }];
    case "end":
      return [
        {
          text: row.outcome === "open" ? "the control plane stopped" : `the run ended: ${row.outcome}`,
          tone: row.outcome === "promoted" ? "good" : row.outcome === "rolled back" ? "bad" : "wait",
        },
      ];
    case "poll":
      return [];
  }
}
