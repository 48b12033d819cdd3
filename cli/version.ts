import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** fairlead's own version, from the package.json above this file (the built package lies one folder deeper). */
export const version: string = readVersion(import.meta.dirname);

function readVersion(folder: string): string {
  const path = join(folder, "package.json");
  if (!existsSync(path)) return folder === dirname(folder) ? "unknown" : readVersion(dirname(folder));
  const manifest = JSON.parse(readFileSync(path, "utf8")) as { readonly version?: string };
  return manifest.version ?? "unknown";
}
