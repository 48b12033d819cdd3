/** The benchmark's processes: each measures for itself, and talks by messages. */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";

export interface Part<Ask, Answer> {
  readonly child: ChildProcess;
  /** Sends a message and waits for the next answer. */
  ask(message: Ask): Promise<Answer>;
  stop(): void;
}

/**
 * Starts `bench/signals/<file>`, with `setup` in its first message where it wants one, and with flags of Node and
 * variables of its own.
 */
export function startPart<Ask extends object, Answer>(
  file: string,
  setup: object | undefined,
  {
    flags = [],
    variables = {},
  }: { readonly flags?: readonly string[]; readonly variables?: Readonly<Record<string, string>> } = {},
): Part<Ask | object, Answer> {
  const child = fork(join(import.meta.dirname, file), {
    execArgv: [...flags],
    env: { ...process.env, ...variables },
  });
  const ask = (message: object): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`${file} ended`));
      child.once("exit", ended);
      child.once("message", (answer) => {
        child.off("exit", ended);
        resolve(answer as Answer);
      });
      child.send(message);
    });
  if (setup !== undefined) child.send(setup);
  return { child, ask, stop: () => void child.kill("SIGKILL") };
}
