import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder, and those above it that are missing.
 *
 * Node's `recursive` never returns where a file system denies new folders as if their parent were missing, as /proc does.
 * @param mode of the new ones
 * @throws what `mkdirSync` throws, EEXIST where another thing than a folder has the name
 */
export function makeFolders(path: string, mode = 0o777): void {
  const parent = dirname(path);
  if (!existsSync(parent)) makeFolders(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}
