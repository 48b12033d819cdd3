import { execFile } from "node:child_process";

/** The longest that a set-up command may take, milliseconds. */
const patience = 20_000;

/**
 * Runs a program to its end, with `input` on its standard input.
 *
 * @returns what it wrote to standard output
 * @throws Error with its command line and its last words
 */
export function run(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: patience }, (error, out, err) => {
      if (error === null) return resolve(out);
      const words = err.trim().split("\n").at(-1) || error.message;
      reject(new Error(`${program} ${args.slice(0, 6).join(" ")}: ${words}`, { cause: error }));
    });
    // A program that ends before it has read everything says why itself.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
