import type { Forecast, Outcome } from "../simulate/forecast.ts";
import { escapeText } from "./chart.ts";

const width = 960;
const left = 320;
const right = 40;
const rowHeight = 18;
const plot = width - left - right;
/** Seconds that the axis names. */
const named = [1, 10, 60, 600, 3600, 14_400];

/** Where a time stands on a logarithmic axis from 1 s to 4 h, 0-1. */
export function placeOf(seconds: number): number {
  return Math.min(1, Math.max(0, Math.log(Math.max(seconds, 1)) / Math.log(14_400)));
}

/** `1s`, `10s`, `1m`, ... */
export function spanText(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 100) return `${Math.round(seconds)}s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)}m` : `${Number((seconds / 3600).toFixed(1))}h`;
}

/** When faults are found, as an SVG file that stands alone: a bar from the 5th to the 95th percentile, a dot at the median. */
export function drawForecasts(title: string, forecasts: readonly Forecast[]): string {
  const faulty = forecasts.filter((one) => one.faulty);
  const [first] = faulty;
  const rows = faulty.flatMap(({ world, outcomes }) =>
    outcomes.map((outcome, index) => ({ world: index === 0 ? world : "", outcome, index })),
  );
  const height = 70 + rows.length * rowHeight + faulty.length * 8;
  const parts: string[] = [];
  for (const seconds of named) {
    const x = placeX(seconds);
    parts.push(
      `<line class="grid" x1="${x}" x2="${x}" y1="44" y2="${height - 22}"/><text x="${x}" y="${height - 6}" text-anchor="middle">${spanText(seconds)}</text>`,
    );
  }
  let y = 52;
  for (const { world, outcome, index } of rows) {
    if (index === 0) y += 8;
    parts.push(drawRow(world, outcome, index, y));
    y += rowHeight;
  }
  const rules = (first?.outcomes ?? []).map(({ rule }) => rule).join(" above, ");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui,sans-serif" font-size="12">
<style>text{fill:#5c6570}.name{fill:#1b1f24}.grid{stroke:#dfe3e8}.r0{stroke:#c2570c;fill:#c2570c}.r1{stroke:#2563a8;fill:#2563a8}.bar{stroke-width:5;stroke-linecap:round;opacity:.35}</style>
<rect width="${width}" height="${height}" fill="#fff"/>
<text class="name" x="12" y="20" font-size="15" font-weight="600">${escapeText(title)}</text>
<text x="12" y="38">from the fault to the roll-back${rules === "" ? "" : `: ${escapeText(rules)}`} below; runs that found it</text>
${parts.join("\n")}
</svg>
`;
}

function drawRow(world: string, { rolledBack, delay }: Outcome, index: number, y: number): string {
  const name = `<text class="name" x="12" y="${y + 4}">${escapeText(world)}</text><text x="${left - 14}" y="${y + 4}" text-anchor="end">${Math.round(rolledBack * 100)} %</text>`;
  if (!Number.isFinite(delay.p5)) return `${name}<text x="${left}" y="${y + 4}">never</text>`;
  const [from, to] = [placeX(delay.p5), placeX(Math.min(delay.p95, 14_400))];
  const dot = Number.isFinite(delay.p50)
    ? `<circle class="r${index}" cx="${placeX(delay.p50)}" cy="${y}" r="4.5"/>`
    : "";
  return `${name}<line class="bar r${index}" x1="${from}" x2="${Math.max(to, from + 0.5)}" y1="${y}" y2="${y}"/>${dot}`;
}

const placeX = (seconds: number): number => Number((left + plot * placeOf(seconds)).toFixed(1));
