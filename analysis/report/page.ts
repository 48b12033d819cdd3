import type { Milliseconds } from "../../lib/units.ts";
import { describeRescues } from "../describe-rescues.ts";
import type { Judgement } from "../judge/types.ts";
import type { RunRecord } from "../record/format.ts";
import { exposedAt, judgeAgain } from "../record/replay.ts";
import { type Bin, type RunView, viewRun } from "./bins.ts";
import { drawPanel, escapeText, type Limit, type Line, type Panel, timeText } from "./chart.ts";
import { style } from "./style.ts";
import { drawVerdicts, listHappenings } from "./verdicts.ts";

/** One HTML page about a run: pictures, numbers, what happened. It stands alone: no script, nothing is fetched. */
export function buildReport(record: RunRecord): string {
  const { head } = record;
  const view = viewRun(record);
  const began = exposedAt(record);
  const judged = lastJudgement(record);
  const title = `${head.canary}, run ${head.run}`;
  const body = [
    `<h1>${escapeText(head.canary)}</h1>`,
    `<p class="soft">canary of namespace ${escapeText(head.namespace)} · run <code>${escapeText(head.run)}</code> · revision <code>${escapeText(head.revision)}</code></p>`,
    banner(record),
    facts(record, view, judged),
    ...pictures(record, view),
    tests(judged),
    happenings(record, began ?? 0),
    `<footer>Evidence is in nats, natural logarithms of odds: 4.6 are 100 to 1. Times count from the first traffic${began === undefined ? ", which never came" : ""}. Written by fairlead.</footer>`,
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeText(title)}</title><style>${style}</style></head>
<body>
${body.filter((part) => part !== "").join("\n")}
</body></html>
`;
}

function lastJudgement(record: RunRecord): Judgement | undefined {
  const { judge } = record.head;
  if (judge === null) return undefined;
  let last: Judgement | undefined;
  for (const { judgement, weight } of judgeAgain(record, judge)) {
    if (weight > 0) last = judgement;
    if (judgement.verdict === "rollback") break;
  }
  return last;
}

function banner({ rows }: RunRecord): string {
  const end = rows.findLast((row) => row.k === "end");
  const harm = rows.find((row) => row.k === "harm");
  const outcome = end?.outcome ?? "open";
  const tone = outcome === "promoted" ? "good" : outcome === "rolled back" ? "bad" : "wait";
  const words = {
    promoted: "Promoted",
    "rolled back": "Rolled back",
    superseded: "Superseded by another revision",
    open: "Not ended",
  };
  const shield = end?.rescues && describeRescues(end.rescues);
  const texts = [end?.message ?? harm?.reason, shield && `Shield: ${shield}.`];
  const paragraphs = texts.flatMap((text) => (text ? [`<p>${escapeText(text)}</p>`] : []));
  return `<div class="banner ${tone}"><b>${words[outcome]}</b>${paragraphs.join("")}</div>`;
}

function facts({ head, rows }: RunRecord, view: RunView, judged: Judgement | undefined): string {
  const sum = (arm: "canary" | "primary"): number =>
    view.bins.reduce((all, bin) => all + (bin.to > 0 ? (bin[arm]?.requests ?? 0) : 0), 0);
  const highest = Math.max(0, ...rows.flatMap((row) => (row.k === "weight" ? [row.weight] : [])));
  const { judge, base } = head;
  const thresholds = [
    base.minSuccess === undefined ? [] : [`success ≥ ${base.minSuccess} %`],
    base.maxDuration === undefined ? [] : [`p99 ≤ ${base.maxDuration} ms`],
  ].flat();
  const list: readonly (readonly [string, string])[] = [
    ["Began", `${new Date(head.at).toISOString().slice(0, 19).replace("T", " ")} UTC`],
    ["Took", timeText(view.to)],
    ["Requests, canary / primary", `${sum("canary")} / ${sum("primary")}`],
    ["Highest weight", `${highest} %`],
    [
      "Judged by",
      judge === null
        ? "checks alone"
        : judge.method === "guard"
          ? "Flagger's rule, with the guard"
          : "the sequential test",
    ],
    ["Interval", seconds(base.interval)],
    ["Thresholds", thresholds.length === 0 ? "none" : thresholds.join(", ")],
    ...(judge === null ? [] : ([["False rollbacks allowed", `${judge.alpha * 100} % of runs`]] as const)),
    ...(judged === undefined
      ? []
      : ([
          [
            "Evidence of harm at the end",
            `${judged.harm.toFixed(2)} of ${judged.rollbackAt.toFixed(2)} nats`,
          ],
        ] as const)),
  ];
  return `<div class="facts">${list
    .map(([name, value]) => `<div><span>${escapeText(name)}</span>${escapeText(value)}</div>`)
    .join("")}</div>`;
}

function pictures(record: RunRecord, view: RunView): string[] {
  const { base, judge } = record.head;
  const x: Panel["x"] = [view.from, view.to];
  const marks = view.weights.map(({ t }) => t);
  const line = (label: string, style: string, y: (bin: Bin) => number | undefined): Line => ({
    label,
    style,
    points: view.bins.map((bin) => ({ x: (bin.from + bin.to) / 2, y: y(bin) })),
  });
  const picture = (title: string, what: string, panel: Omit<Panel, "x" | "marks">): string =>
    `<h2>${title}<small>${what}</small></h2>${drawPanel({ ...panel, x, marks }, title)}`;
  const success = (arm: "canary" | "primary") =>
    line(arm, arm, (bin) => (bin[arm] === undefined ? undefined : 100 * bin[arm].success));
  const wanted = (y: number | undefined, label: string): Limit[] =>
    y === undefined ? [] : [{ y, label, style: "wanted" }];
  const weights: Line = {
    label: "canary",
    style: "canary",
    stepped: true,
    filled: true,
    points: [
      { x: view.from, y: 0 },
      ...view.weights.map(({ t, weight }) => ({ x: t, y: weight })),
      { x: view.to, y: view.weights.at(-1)?.weight ?? 0 },
    ],
  };
  const verdicts = drawVerdicts(record, view);
  return [
    picture("Success rate", "requests without a 5xx answer", {
      y: [99, 100],
      format: (value) => `${value} %`,
      lines: [success("primary"), success("canary")],
      limits: wanted(base.minSuccess, `at least ${base.minSuccess} %`),
    }),
    picture("Latency", "half and 99 of 100 requests are faster", {
      y: [10, 100],
      logarithmic: true,
      format: (value) => `${value} ms`,
      lines: [
        { ...line("primary p50", "primary thin", (bin) => bin.primary?.p50) },
        { ...line("canary p50", "canary thin", (bin) => bin.canary?.p50) },
        line("primary p99", "primary", (bin) => bin.primary?.p99),
        line("canary p99", "canary", (bin) => bin.canary?.p99),
      ],
      limits: wanted(base.maxDuration, `at most ${base.maxDuration} ms`),
    }),
    picture("Weight", "share of the traffic that the canary was given", {
      y: [0, Math.max(10, ...base.steps)],
      format: (value) => `${value} %`,
      lines: [weights],
    }),
    ...(judge === null ? [] : [evidencePicture(view, picture)]),
    verdicts === ""
      ? ""
      : `<h2>Verdicts<small>of the judge, and of each check at its ticks</small></h2>${verdicts}`,
  ];
}

function evidencePicture(
  view: RunView,
  picture: (title: string, what: string, panel: Omit<Panel, "x" | "marks">) => string,
): string {
  const judged = view.bins.flatMap(({ to, evidence }) =>
    evidence === undefined ? [] : [{ x: to, evidence }],
  );
  const rollbackAt = judged.at(-1)?.evidence.rollbackAt ?? 4.6;
  const proves = judged.some(({ evidence }) => evidence.promoteAt > 0);
  const highest = Math.max(rollbackAt * 1.15, ...judged.map(({ evidence }) => evidence.harm));
  // Proof of safety may grow without end; what is above both limits says no more.
  const top = Math.min(highest, rollbackAt * 3);
  const clipped = (value: number): number => Math.max(-2, Math.min(value, top));
  const lines: Line[] = [
    {
      label: "harm",
      style: "harm",
      points: judged.map(({ x, evidence }) => ({ x, y: clipped(evidence.harm) })),
    },
  ];
  if (proves) {
    lines.push(
      {
        label: "safety",
        style: "safe",
        points: judged.map(({ x, evidence }) => ({ x, y: clipped(evidence.safe) })),
      },
      {
        label: "needed to step",
        style: "safe thin",
        stepped: true,
        points: judged.map(({ x, evidence }) => ({ x, y: clipped(evidence.promoteAt) })),
      },
    );
  }
  return picture("Evidence", `nats; what is above ${top.toFixed(1)} or below −2 is drawn there`, {
    y: [-2, top],
    format: (value) => String(value),
    lines,
    limits: [
      { y: rollbackAt, label: "roll back", style: "harm" },
      { y: rollbackAt / 2, label: "hold", style: "amber" },
    ],
  });
}

function tests(judged: Judgement | undefined): string {
  if (judged === undefined || judged.tests.length === 0) return "";
  const percent = (share: number | undefined): string =>
    share === undefined ? "–" : `${Number((share * 100).toPrecision(3))} %`;
  const rows = judged.tests.map(
    ({ name, metric, canary, primary, canaryRequests, harm, safe, dispersion }) =>
      `<tr><td>${escapeText(name)}</td><td>${escapeText(metric)}</td><td class="n">${percent(canary)}</td><td class="n">${percent(primary)}</td><td class="n">${canaryRequests}</td><td class="n">${harm.toFixed(2)}</td><td class="n">${safe === undefined ? "–" : safe.toFixed(2)}</td><td class="n">${dispersion.toFixed(2)}</td></tr>`,
  );
  return `<h2>Tests<small>over the last interval before the verdict</small></h2><table><tr><th>test</th><th>metric</th><th class="n">canary, bad</th><th class="n">primary, bad</th><th class="n">canary's requests</th><th class="n">harm, nats</th><th class="n">safety, nats</th><th class="n">bad at once</th></tr>${rows.join("")}</table><p class="soft">${escapeText(judged.reason)}</p>`;
}

function happenings(record: RunRecord, began: number): string {
  const rows = listHappenings(record, began).map(
    ({ t, text, tone }) =>
      `<tr><td class="n">${timeText(t)}</td><td class="${tone}">${escapeText(text)}</td></tr>`,
  );
  return rows.length === 0
    ? ""
    : `<h2>What happened</h2><table><tr><th class="n" style="width:70px">after</th><th></th></tr>${rows.join("")}</table>`;
}

const seconds = (milliseconds: Milliseconds): string => `${milliseconds / 1000} s`;
