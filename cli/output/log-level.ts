import { Option } from "commander";

/** `--log-level`. */
export function logLevelOption(usual: "info" | "warn"): Option {
  return new Option("--log-level <level>", "the least that is logged")
    .choices(["debug", "info", "warn", "error"])
    .default(usual);
}
