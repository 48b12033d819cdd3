import { execFile } from "node:child_process";

/** The Envoy that fairlead is tested with, and fetches. */
export const envoyVersion = "1.40.0";

/**
 * Asks a program for its version.
 *
 * @returns e.g. `1.40.0`
 * @throws with one line that says why the program is no usable Envoy
 */
export async function askVersion(path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(path, ["--version"], { timeout: 20_000 }, (error, output) => {
    const version = /version: [0-9a-f]+\/(\d+\.\d+\.\d+)/.exec(output)?.[1];
    if (version) return resolve(version);
    reject(new Error(explain(path, error)));
  });
  return promise;
}

function explain(
  path: string,
  error: (Error & { code?: string | number | null | undefined }) | null,
): string {
  switch (error?.code) {
    case "ENOENT":
      return `\`${path}\` does not exist`;
    case "EACCES":
      return `\`${path}\` may not be executed: chmod +x it`;
    case "ENOEXEC":
      return `\`${path}\` is built for another architecture than this machine's (${process.arch})`;
    default: {
      const words = error?.message
        .split("\n")
        .filter((line) => line.trim() !== "")
        .at(-1);
      return `\`${path} --version\` gave no Envoy version${words ? `: ${words}` : ""}`;
    }
  }
}
