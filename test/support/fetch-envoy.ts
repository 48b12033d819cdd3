import { createLogger } from "../../lib/log.ts";
import { findEnvoy } from "../../local/envoy/find.ts";

/**
 * Finds Envoy before the first test, and fetches it where there is none: the suites judge by it.
 *
 * Where it cannot be had the suites that need it say so and are skipped.
 */
export default async function setup(): Promise<void> {
  try {
    process.env.ENVOY_BIN = await findEnvoy({
      fetch: true,
      logger: createLogger("warn"),
      progress: (text) => process.stderr.write(`${text}\n`),
    });
  } catch (error) {
    process.stderr.write(
      `tests on a real Envoy are skipped: ${error instanceof Error ? error.message : String(error)}\n`,
    );
  }
}
