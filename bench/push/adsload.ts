/** Runs the load tool of `bench/adsload`, a Go program: gRPC clients that cost little beside what they measure. */
import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const folder = join(import.meta.dirname, "..", "adsload");

/** What one run of the tool says; times in the unit of the name. */
export interface LoadFigures {
  readonly clients: number;
  readonly connectSeconds: number;
  /** Megabytes that all clients got until they held everything. */
  readonly connectMB: number;
  readonly p50Ms: number;
  readonly lastMs: number;
  /** Milliseconds until the API server answered the change. */
  readonly apiMs: number;
  readonly messagesPerClient: number;
  readonly bytesPerClient: number;
}

export interface LoadTarget {
  /** `host:port` of plaintext ADS. */
  readonly ads: string;
  /** `https://host:port` */
  readonly api: string;
  readonly token: string;
  readonly namespace: string;
  readonly route: string;
}

/**
 * Compiles the tool into `into`.
 *
 * @throws where Go is missing or its modules cannot be fetched
 */
export async function buildAdsload(into: string): Promise<string> {
  const binary = join(into, "adsload");
  try {
    await promisify(execFile)("go", ["build", "-o", binary, "."], { cwd: folder });
  } catch (error) {
    throw new Error("cannot build bench/adsload: install Go 1.26 and let it reach the Go module proxy", {
      cause: error,
    });
  }
  return binary;
}

/**
 * Connects `clients` clients, changes the weight `rounds` times, calls `whileHeld` while they are still connected, ends.
 *
 * @throws with the tool's last words where a client does not get what it must
 */
export async function runAdsload(
  binary: string,
  { ads, api, token, namespace, route }: LoadTarget,
  {
    clients,
    rounds,
    own = false,
  }: { readonly clients: number; readonly rounds: number; readonly own?: boolean },
  whileHeld: () => Promise<void> | void = () => undefined,
): Promise<LoadFigures> {
  const args = ["-json", "-hold", "-addr", ads, "-api", api, "-token", token, "-ns", namespace, "-vs", route];
  const child = spawn(
    binary,
    [...args, "-n", String(clients), "-rounds", String(rounds), ...(own ? ["-own"] : [])],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  const words: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    if (words.push(line) > 10) words.shift();
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    const figures = await new Promise<LoadFigures>((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line.startsWith("{")) resolve(JSON.parse(line) as LoadFigures);
        else words.push(line);
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`adsload ended with ${code}: ${words.join("; ")}`)));
    });
    await whileHeld();
    return figures;
  } finally {
    child.stdin.end();
    await ended;
  }
}
