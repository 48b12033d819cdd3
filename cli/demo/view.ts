import type { Canary } from "../../api/kinds.ts";
import { clip } from "../output/clip.ts";
import { frame } from "./frame.ts";
import type { RequestLine } from "./record.ts";

/** What happened since the last look. */
export interface Rollout {
  readonly canary: Canary;
  readonly recent: readonly RequestLine[];
  readonly events: readonly { readonly at: number; readonly type: string; readonly message: string }[];
}

/** How the demo speaks. */
export interface View {
  /** Something was done, in a sentence. */
  step(text: string): void;
  rollout(rollout: Rollout): void;
  /** The last words, already as lines. */
  end(lines: readonly string[], summary: Record<string, unknown>): void;
  /** Gives the terminal back. */
  close(): void;
}

/** Calls `fresh` once for each event message, and `changed` when phase or weight changes. */
function news(
  fresh: (message: string) => void,
  changed: (canary: Canary) => void,
): (rollout: Rollout) => void {
  const seen = new Set<string>();
  let last = "";
  return ({ canary, events }) => {
    for (const { at, message } of events) {
      const key = `${at} ${message}`;
      if (seen.has(key)) continue;
      seen.add(key);
      fresh(message);
    }
    const now = `${canary.status?.phase} ${canary.status?.canaryWeight}`;
    if (now !== last) changed(canary);
    last = now;
  };
}

/** One JSON object a line on stdout, for programs. */
export function jsonView(): View {
  const say = (event: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(event)}\n`);
  const at = () => Date.now();
  return {
    step: (text) => say({ event: "step", at: at(), text }),
    rollout: news(
      (message) => say({ event: "message", at: at(), message }),
      ({ status }) =>
        say({
          event: "rollout",
          at: at(),
          phase: status?.phase ?? "",
          canaryWeight: status?.canaryWeight ?? 0,
        }),
    ),
    end: (_, summary) => say({ event: "summary", ...summary }),
    close: () => undefined,
  };
}

/** Plain lines, where stdout is no terminal. */
export function plainView(): View {
  const say = (text: string) => process.stdout.write(`${new Date().toISOString().slice(11, 23)}  ${text}\n`);
  return {
    step: say,
    rollout: news(
      (message) => say(`  ${message}`),
      ({ status }) => say(`  ${status?.phase ?? ""} at weight ${status?.canaryWeight ?? 0}`),
    ),
    end: (lines) => process.stdout.write(`\n${lines.join("\n")}\n`),
    close: () => undefined,
  };
}

/** A picture that is drawn again in place. */
export function liveView(): View {
  const messages: string[] = [];
  let requests: RequestLine[] = [];
  let drawn = 0;
  let stepAt = Date.now();
  const clear = () => process.stdout.write(drawn === 0 ? "" : `\u001b[${drawn}A\u001b[J`);
  const draw = (lines: readonly string[]) => {
    const width = process.stdout.columns ?? 100;
    clear();
    process.stdout.write(`${lines.map((line) => clip(line, width)).join("\n")}\n`);
    drawn = lines.length;
  };
  const look = news(
    (message) => messages.push(message),
    () => {
      stepAt = Date.now();
    },
  );
  process.stdout.write("\u001b[?25l");
  return {
    step(text) {
      clear();
      process.stdout.write(`▸ ${text}\n`);
      drawn = 0;
    },
    rollout(rollout) {
      look(rollout);
      const now = Date.now();
      requests = [...requests, ...rollout.recent].filter(({ end }) => now - end < 5_000);
      draw(frame({ canary: rollout.canary, requests, messages, now, stepAt }));
    },
    end: (lines) => process.stdout.write(`\n${lines.join("\n")}\n`),
    close: () => process.stdout.write("\u001b[?25h"),
  };
}
