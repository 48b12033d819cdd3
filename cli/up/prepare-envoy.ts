import { createInterface } from "node:readline/promises";
import type { Logger } from "../../lib/log.ts";
import { findEnvoy } from "../../local/envoy/find.ts";

/**
 * The Envoy to run, fetched where there is none. Asks first, unless `yes`.
 *
 * @returns the path of the program
 * @throws Error with one line that says what to do
 */
export function prepareEnvoy({
  yes,
  logger,
}: {
  readonly yes: boolean;
  readonly logger: Logger;
}): Promise<string> {
  const progress = (text: string) => process.stderr.write(`${text}\n`);
  return findEnvoy({ fetch: true, logger, progress, ...(yes ? {} : { ask }) });
}

/** Asks a yes-or-no question; where there is nobody to ask, CI means yes. */
async function ask(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return process.env.CI !== undefined;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [Y/n] `);
  terminal.close();
  return /^(y|yes)?$/i.test(answer.trim());
}
