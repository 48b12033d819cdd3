import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type LoadFigures, type LoadTarget, runAdsload } from "./adsload.ts";
import type { WrittenRecording } from "./raw-server.ts";
import type { Recording } from "./recorder.ts";

/** The same load on a server that only writes the recorded bytes to the same number of sockets. */
export async function measureLimit(
  binary: string,
  { first, changes }: Recording,
  target: LoadTarget,
  load: { readonly clients: number; readonly rounds: number; readonly own: boolean },
): Promise<LoadFigures> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "raw-server.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    const base64 = (bytes: Buffer) => bytes.toString("base64");
    const recording: WrittenRecording = {
      first: Array.from(first, ([type, bytes]) => [type, base64(bytes)] as const),
      changes: changes.map(base64),
    };
    child.stdin.end(JSON.stringify(recording));
    const ports = await new Promise<{ readonly ads: number; readonly api: number }>((resolve, reject) => {
      createInterface({ input: child.stdout }).once("line", (line) => resolve(JSON.parse(line)));
      child.once("exit", (code) => reject(new Error(`the bare server ended with ${code}`)));
    });
    const bare = { ...target, ads: `127.0.0.1:${ports.ads}`, api: `http://127.0.0.1:${ports.api}` };
    return await runAdsload(binary, bare, load);
  } finally {
    child.kill("SIGKILL");
  }
}
