import { styleText } from "node:util";
import type { Canary } from "../../api/kinds.ts";
import type { RequestLine } from "./record.ts";

/** What the live view shows at one moment. */
export interface Moment {
  readonly canary: Canary;
  /** Requests of the last seconds, by the load client's own record. */
  readonly requests: readonly RequestLine[];
  readonly messages: readonly string[];
  /** Epoch milliseconds. */
  readonly now: number;
  /** When the weight last changed, epoch milliseconds. */
  readonly stepAt: number;
}

const barWidth = 30;

/** A share of 0-100 as a bar of {@link barWidth} cells. */
export function bar(weight: number): string {
  const filled = Math.round((Math.min(100, Math.max(0, weight)) / 100) * barWidth);
  return "█".repeat(filled) + "░".repeat(barWidth - filled);
}

/** The live view's lines. Pure: same moment, same lines. Colours follow the terminal (NO_COLOR is honoured by `styleText`). */
export function frame({ canary, requests, messages, now, stepAt }: Moment): string[] {
  const status = canary.status;
  const phase = status?.phase || "Initializing";
  const weight = status?.canaryWeight ?? 0;
  const failed = requests.filter(({ status: code }) => code < 200 || code >= 400).length;
  const colour =
    phase === "Failed" ? "red" : phase === "Succeeded" || phase === "Initialized" ? "green" : "yellow";
  return [
    "",
    `  ${styleText("bold", `${canary.metadata.namespace}/${canary.metadata.name}`)}  ${styleText(colour, phase.padEnd(12))}  ${bar(weight)} ${String(weight).padStart(3)} %${countdown(canary, now, stepAt)}`,
    `  ${requests.length === 0 ? "no requests yet" : `${(100 - (failed / requests.length) * 100).toFixed(1)} % of users' requests answered · p99 ${quantile(requests, 0.99)} ms · ${versions(requests)}`}`,
    ...(status?.checks ?? []).map(
      (check) =>
        `  ${mark(check.result)} ${check.name}  ${check.value ?? "–"}  ${styleText("dim", check.limit ?? "")}`,
    ),
    "",
    ...messages.slice(-8).map((message) => `  ${styleText("dim", "·")} ${message}`),
  ];
}

/** Time to the next step while the analysis runs. */
function countdown(canary: Canary, now: number, stepAt: number): string {
  if (canary.status?.phase !== "Progressing") return "";
  const interval = Number.parseFloat(canary.spec.analysis?.interval ?? "60") * 1000;
  const left = interval - ((now - stepAt) % interval);
  return styleText("dim", `  next check in ${(left / 1000).toFixed(1)} s`);
}

function mark(verdict: string | undefined): string {
  if (verdict === "passed") return styleText("green", "✓");
  return verdict === "failed" ? styleText("red", "✗") : styleText("yellow", "?");
}

function quantile(requests: readonly RequestLine[], share: number): string {
  const times = requests.map(({ start, end }) => end - start).sort((a, b) => a - b);
  return (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(0);
}

function versions(requests: readonly RequestLine[]): string {
  const counts = new Map<string, number>();
  for (const { version } of requests)
    counts.set(version ?? "no answer", (counts.get(version ?? "no answer") ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([version, count]) => `v${version} ${((count / requests.length) * 100).toFixed(0)} %`)
    .join("  ");
}
