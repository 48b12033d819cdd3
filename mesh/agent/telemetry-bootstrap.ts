import { readFileSync } from "node:fs";
import type { TelemetryBootstrap } from "./bootstrap.ts";

/**
 * What `mesh/build/bootstrap-telemetry.ts` builds, as JSON in a file: the agent does without the generated messages,
 * which are larger than all the rest of it. A test keeps the file equal to what is built.
 */
export function readTelemetryBootstrap(): TelemetryBootstrap {
  return JSON.parse(
    readFileSync(new URL("telemetry-bootstrap.json", import.meta.url), "utf8"),
  ) as TelemetryBootstrap;
}
