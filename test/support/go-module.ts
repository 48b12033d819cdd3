/** Files of Go modules, by Go's own module cache. */
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";

/** The folder of a Go module's version in the module cache. Rejects where Go is missing or the proxy cannot be reached. */
export function goModule(path: string, version: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // Outside of any module, so that no go.mod is asked.
    execFile("go", ["mod", "download", "-json", `${path}@${version}`], { cwd: tmpdir() }, (error, stdout) => {
      if (error !== null) {
        reject(new Error(`go mod download ${path}@${version} failed: ${stdout.trim()}`, { cause: error }));
        return;
      }
      const { Dir } = JSON.parse(stdout) as { readonly Dir: string };
      resolve(Dir);
    });
  });
}
