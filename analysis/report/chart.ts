/** SVG of one panel: axes, lines, limits. Numbers in, text out. */

/** Size of a panel and of the room around its plot, in SVG units. */
export const size = { width: 960, height: 190, left: 64, right: 108, top: 12, bottom: 26 } as const;
const plot = {
  width: size.width - size.left - size.right,
  height: size.height - size.top - size.bottom,
} as const;

export interface Point {
  readonly x: number;
  /** undefined: the line is broken here. */
  readonly y: number | undefined;
}

export interface Line {
  readonly label: string;
  /** Class of the style sheet: its colour. */
  readonly style: string;
  readonly points: readonly Point[];
  /** Stays at each value until the next. */
  readonly stepped?: boolean;
  /** Filled down to the axis. */
  readonly filled?: boolean;
}

/** A horizontal limit. */
export interface Limit {
  readonly y: number;
  readonly label: string;
  readonly style: string;
}

export interface Panel {
  readonly x: readonly [number, number];
  /** Least range of the vertical axis; it grows to hold every point. */
  readonly y: readonly [number, number];
  readonly logarithmic?: boolean;
  readonly format: (value: number) => string;
  readonly lines: readonly Line[];
  readonly limits?: readonly Limit[];
  /** Vertical marks, e.g. where the weight changed. */
  readonly marks?: readonly number[];
}

/** Text that is safe in HTML and SVG. */
export function escapeText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** A panel as an SVG element. `label` is for those who cannot see it. */
export function drawPanel(panel: Panel, label: string): string {
  const scale = scaleOf(panel);
  const [low, high] = scale.range;
  const grid = scale.ticks.map((value) => {
    const y = scale.y(value);
    return `<line class="grid" x1="${size.left}" x2="${size.width - size.right}" y1="${y}" y2="${y}"/><text class="tick" x="${size.left - 8}" y="${y + 4}" text-anchor="end">${escapeText(panel.format(value))}</text>`;
  });
  const marks = (panel.marks ?? []).map(
    (value) =>
      `<line class="mark" x1="${scale.x(value)}" x2="${scale.x(value)}" y1="${size.top}" y2="${size.height - size.bottom}"/>`,
  );
  const limits = (panel.limits ?? [])
    .filter(({ y }) => y >= low && y <= high)
    .map(({ y, style }) => {
      const at = scale.y(y);
      return `<line class="limit ${style}" x1="${size.left}" x2="${size.width - size.right}" y1="${at}" y2="${at}"/>`;
    });
  const lines = panel.lines.map((line) => drawLine(line, scale));
  return [
    `<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escapeText(label)}">`,
    ...grid,
    ...marks,
    drawTimeAxis(panel.x, scale.x),
    ...limits,
    ...lines,
    ...drawLabels(panel, scale),
    "</svg>",
  ].join("");
}

interface Scale {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly range: readonly [number, number];
  readonly ticks: readonly number[];
}

function scaleOf({ x, y, logarithmic = false, lines }: Panel): Scale {
  const values = lines.flatMap(({ points }) => points.flatMap((point) => point.y ?? []));
  const low = Math.min(y[0], ...values);
  const high = Math.max(y[1], ...values);
  const ticks = logarithmic ? powers(low, high) : evenTicks(low, high);
  const range = [Math.min(low, ticks[0] ?? low), Math.max(high, ticks.at(-1) ?? high)] as const;
  const along = (value: number): number => (logarithmic ? Math.log(value) : value);
  const [bottom, top] = range.map(along) as [number, number];
  return {
    x: xScale(x),
    y: (value) =>
      round(size.top + plot.height * (1 - (along(value) - bottom) / Math.max(top - bottom, 1e-12))),
    range,
    ticks,
  };
}

/** Where a time stands. */
export function xScale([from, to]: Panel["x"]): (value: number) => number {
  return (value) => round(size.left + (plot.width * (value - from)) / Math.max(to - from, 1e-9));
}

/** Round values that cover the range. */
function evenTicks(low: number, high: number): number[] {
  const step = niceStep((high - low) / 4);
  const ticks: number[] = [];
  for (let value = Math.floor(low / step + 1e-9); value <= Math.ceil(high / step - 1e-9); value++)
    ticks.push(Number((value * step).toPrecision(12)));
  return ticks;
}

function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-9)));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least * 0.999) ?? 10);
}

/** 1, 2, 5, 10 ... around the range. */
function powers(low: number, high: number): number[] {
  const all: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(Math.max(low, 1e-3))); power <= high * 10; power *= 10)
    all.push(power, 2 * power, 5 * power);
  const first = Math.max(0, all.findIndex((value) => value > low) - 1);
  const last = all.findIndex((value) => value >= high);
  const some = all.slice(first, (last === -1 ? all.length : last) + 1);
  return some.length > 7
    ? some.filter(
        (value) => Number.isInteger(Math.log10(value) + 1e-9) || value === some[0] || value === some.at(-1),
      )
    : some;
}

function drawLine({ points, style, label, stepped = false, filled = false }: Line, scale: Scale): string {
  const parts: string[] = [];
  let open = false;
  let before: number | undefined;
  for (const { x, y } of points) {
    if (y === undefined) {
      open = false;
      continue;
    }
    const at = scale.y(y);
    if (open && stepped && before !== undefined) parts.push(`L${scale.x(x)} ${before}`);
    parts.push(`${open ? "L" : "M"}${scale.x(x)} ${at}`);
    open = true;
    before = at;
  }
  const path = `<path class="line ${style}" d="${parts.join("")}"><title>${escapeText(label)}</title></path>`;
  const [first, last] = [points[0], points.at(-1)];
  if (!filled || first === undefined || last === undefined) return path;
  const floor = scale.y(scale.range[0]);
  return `<path class="fill ${style}" d="${parts.join("")}L${scale.x(last.x)} ${floor}L${scale.x(first.x)} ${floor}Z"/>${path}`;
}

/** Names at the right end of lines and limits, moved apart so that they can be read. */
function drawLabels({ lines, limits = [] }: Panel, scale: Scale): string[] {
  const labels = [
    ...lines.flatMap(({ label, style, points }) => {
      const last = points.findLast(({ y }) => y !== undefined);
      return last?.y === undefined ? [] : [{ label, style, y: scale.y(last.y) }];
    }),
    ...limits
      .filter(({ y }) => y >= scale.range[0] && y <= scale.range[1])
      .map(({ label, style, y }) => ({ label, style: `${style} small`, y: scale.y(y) })),
  ].toSorted((a, b) => a.y - b.y);
  const height = 13;
  let floor = Number.NEGATIVE_INFINITY;
  const placed = labels.map((one) => {
    floor = Math.max(one.y, floor + height);
    return { ...one, y: floor };
  });
  const over = Math.max(0, floor - (size.height - size.bottom));
  return placed.map(
    ({ label, style, y }) =>
      `<text class="label ${style}" x="${size.width - size.right + 8}" y="${round(y - over + 4)}">${escapeText(label)}</text>`,
  );
}

function drawTimeAxis([from, to]: Panel["x"], x: (value: number) => number): string {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200];
  const step = steps.find((one) => (to - from) / one <= 9) ?? 86_400;
  const texts: string[] = [];
  for (let value = Math.ceil(from / step) * step; value <= to; value += step)
    texts.push(
      `<text class="tick" x="${x(value)}" y="${size.height - 8}" text-anchor="middle">${timeText(value)}</text>`,
    );
  const y = size.height - size.bottom;
  return `<line class="axis" x1="${size.left}" x2="${size.width - size.right}" y1="${y}" y2="${y}"/>${texts.join("")}`;
}

/** Seconds as a clock shows them: `45 s`, `2:30`, `1:05:00`. */
export function timeText(seconds: number): string {
  const sign = seconds < 0 ? "−" : "";
  const all = Math.round(Math.abs(seconds));
  if (all < 60) return `${sign}${all} s`;
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${sign}${hours}:${two(minutes)}:${two(rest)}` : `${sign}${minutes}:${two(rest)}`;
}

const round = (value: number): number => Number(value.toFixed(1));
