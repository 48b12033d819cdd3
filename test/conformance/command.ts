/** Runs kubectl (of the server's own version) and Helm as a person would, and keeps what they say. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { stringify } from "yaml";
import { buildHelm, buildParts } from "../cluster/build.ts";
import type { Server } from "./servers.ts";

/** What a command said: its exit code, and both outputs. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the commands of one scenario, in a folder of its own. */
export interface Shell {
  /**
   * @param line words separated by spaces, `'…'` around those with spaces in them
   * @param input objects that it reads from standard input
   */
  run(line: string, input: readonly unknown[] | undefined): Promise<Said>;
  /** Writes a file that commands name. */
  write(name: string, content: string): Promise<void>;
  close(): Promise<void>;
}

/** Prepares a user of that server. */
export async function openShell(server: Server): Promise<Shell> {
  const [{ kubectl }, helm, folder] = await Promise.all([
    buildParts(),
    buildHelm(),
    mkdtemp(join(tmpdir(), "fairlead-conformance-")),
  ]);
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, server.kubeconfig, { mode: 0o600 });
  const env = {
    PATH: [dirname(kubectl), dirname(helm), process.env.PATH ?? ""].join(delimiter),
    HOME: folder,
    KUBECONFIG: kubeconfig,
    // Differences as texts, without names of temporary folders.
    KUBECTL_EXTERNAL_DIFF: "diff -u --label before --label after",
  };
  return {
    run(line, input) {
      const [program = "", ...words] = wordsOf(line);
      return new Promise((resolve) => {
        const child = execFile(
          program,
          words,
          { env, cwd: folder, timeout: 30_000, maxBuffer: 2 ** 24 },
          (error, out, err) => {
            const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
            resolve({ code, out: out.replaceAll(folder, "<home>"), err: err.replaceAll(folder, "<home>") });
          },
        );
        // A program that ends without reading breaks the pipe.
        child.stdin?.on("error", () => undefined);
        child.stdin?.end((input ?? []).map((object) => stringify(object)).join("---\n"));
      });
    },
    write: (name, content) => writeFile(join(folder, name), content),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(/(?:[^\s']|'[^']*')+/g)].map(([word]) => word.replaceAll("'", ""));
}

/** What differs between any two runs, named alike: ages, addresses, hashes of certificates and names by chance. */
export function shown({ code, out, err }: Said): { code: number; out: string[]; err: string[] } {
  const lines = (text: string) =>
    text
      .replace(/(?<![\w.-])\d+(\.\d+)?(ms|s)(?![\w-])/g, "<age>")
      .replace(/(Resource Version: +)\d+/g, "$1<version>")
      .replace(/\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000/g, "<time>")
      .replace(/[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}/g, "<time>")
      .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} [A-Z]+/g, "<time>")
      .split("\n")
      // Columns are as wide as their widest cell.
      .map((line) => line.replace(/ {2,}/g, "  ").trimEnd());
  return { code, out: lines(out), err: lines(err) };
}
