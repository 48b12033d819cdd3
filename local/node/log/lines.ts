/** A part of a log: its bytes, and at which times its offsets were seen (ascending). */
export interface LogPart {
  readonly content: Buffer;
  readonly times: readonly { readonly offset: number; readonly at: number }[];
}

export interface LogLine {
  /** Without its newline. */
  readonly text: Buffer;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Cuts a part of a log into lines with their times; an unfinished last line counts as one. */
export function linesOf({ content, times }: LogPart): readonly LogLine[] {
  const lines: LogLine[] = [];
  let entry = 0;
  for (let start = 0; start < content.length; ) {
    const newline = content.indexOf(10, start);
    const end = newline < 0 ? content.length : newline;
    while ((times[entry + 1]?.offset ?? Number.POSITIVE_INFINITY) <= start) entry += 1;
    lines.push({ text: content.subarray(start, end), at: times[entry]?.at ?? 0 });
    start = end + 1;
  }
  return lines;
}

/** Reads `log.times`. */
export function parseTimes(text: string): LogPart["times"] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [offset = 0, at = 0] = line.split(" ").map(Number);
      return { offset, at };
    });
}

/** Lines as a reader gets them: each with its newline, and its time before it where asked. */
export function printLines(lines: readonly LogLine[], timestamps: boolean): Buffer {
  const newline = Buffer.from("\n");
  return Buffer.concat(
    lines.flatMap(({ text, at }) =>
      timestamps ? [Buffer.from(`${new Date(at).toISOString()} `), text, newline] : [text, newline],
    ),
  );
}
