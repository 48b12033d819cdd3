import { fileURLToPath } from "node:url";

/**
 * The program that stands for image `fairlead/proxy`, for whoever runs containers as plain processes.
 *
 * The small young generation costs such a quiet process nothing and spares it several MB.
 */
export function agentCommand(): readonly string[] {
  return [process.execPath, "--max-semi-space-size=1", fileURLToPath(new URL("main.js", import.meta.url))];
}
