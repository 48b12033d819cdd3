import type { Clock } from "../../lib/clock.ts";
import type { Milliseconds } from "../../lib/units.ts";
import { parseQuery } from "../promql/parse.ts";
import { batchLabel, type RawAnswer, readBatchAnswer, readPrometheusAnswer } from "./prometheus-answer.ts";
import type { Answer } from "./types.ts";

/** Sends one PromQL query. */
export type AskPrometheus = (query: string, signal: AbortSignal | undefined) => Promise<RawAnswer | Answer>;

/** Queries of one template that come within this time go together. */
const batchWindow: Milliseconds = 100;
/** Of a joined query, so that its URL is taken everywhere; and how many are joined. */
const longestBatch = 6_000;
const mostJoined = 50;

interface Waiting {
  readonly query: string;
  readonly signal: AbortSignal | undefined;
  readonly answer: (answer: Answer) => void;
}

/**
 * Asks queries that share a template as one: each under a label of its own, joined by `or`. What cannot be joined, and
 * every query of a batch that the server refuses, is asked alone.
 */
export function batchQueries(ask: AskPrometheus, clock: Clock) {
  const batches = new Map<string, Waiting[]>();

  const alone = async ({ query, signal, answer }: Waiting): Promise<void> => {
    const raw = await ask(query, signal);
    answer("kind" in raw ? raw : readPrometheusAnswer(raw));
  };
  const send = async (batch: readonly Waiting[]): Promise<void> => {
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) return alone(only);
    const raw = await ask(batch.map(({ query }, index) => labelled(query, index)).join(" or "), undefined);
    const answers = "kind" in raw ? batch.map(() => raw) : readBatchAnswer(raw, batch.length);
    if (answers === undefined) await Promise.all(batch.map(alone));
    else for (const [index, { answer }] of batch.entries()) answer(answers[index] ?? nothing);
  };
  const flush = (group: string): void => {
    const batch = (batches.get(group) ?? []).filter(({ signal }) => !signal?.aborted);
    batches.delete(group);
    let part: Waiting[] = [];
    for (const waiting of batch) {
      const length = part.reduce((sum, { query }) => sum + query.length + 60, waiting.query.length);
      if (part.length >= mostJoined || (part.length > 0 && length > longestBatch)) {
        void send(part);
        part = [];
      }
      part.push(waiting);
    }
    if (part.length > 0) void send(part);
  };

  return (query: string, signal?: AbortSignal, group?: string): Promise<Answer> =>
    new Promise((resolve) => {
      const waiting: Waiting = { query, signal, answer: resolve };
      if (group === undefined || !canBeJoined(query)) return void alone(waiting);
      signal?.addEventListener("abort", () => resolve(nothing), { once: true });
      const batch = batches.get(group);
      if (batch !== undefined) return void batch.push(waiting);
      batches.set(group, [waiting]);
      clock.after(batchWindow, () => flush(group));
    });
}

const nothing: Answer = { kind: "error", reason: "the query was called off" };

function labelled(query: string, index: number): string {
  return `label_replace((${query}), "${batchLabel}", "${index}", "", "")`;
}

/**
 * Whether a query is one whole expression that gives series: nothing in it can end the parentheses around it and speak
 * for another. Comments would swallow what follows.
 */
export function canBeJoined(query: string): boolean {
  if (query.includes("#")) return false;
  try {
    const { kind } = parseQuery(query);
    return kind !== "number";
  } catch {
    return false;
  }
}
