/** The agent's own few lines: JSON on stderr like the control plane's, without the memory of its logger. */
export interface AgentLog {
  readonly info: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly warn: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly error: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
}

/** @param write takes one line, without its end */
export function createAgentLog(
  write: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): AgentLog {
  const at =
    (level: number) =>
    (msg: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      write(JSON.stringify({ level, time: new Date().toISOString(), name: "agent", ...fields, msg }));
  // pino's numbers
  return { info: at(30), warn: at(40), error: at(50) };
}

/** The first line of what was thrown. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return message.split("\n", 1)[0] ?? "";
}
