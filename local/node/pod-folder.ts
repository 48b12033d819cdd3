import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Network, nextAddress } from "./address.ts";
import { type Attempt, readAttempts } from "./process/attempt-folder.ts";
import { killAll, shimRuns } from "./process/session.ts";

/** What a pod's folder says about it: enough to know it again without the API server. */
export interface PodEntry {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
}

/** The folders of this machine's pods and the addresses that they hold: `<data folder>/pods/<start of uid>/pod.json`. */
export class PodFolders {
  readonly #root: string;
  readonly #network: Network;
  readonly #entries = new Map<string, PodEntry>();

  constructor(dataDir: string, network: Network) {
    this.#root = join(dataDir, "pods");
    this.#network = network;
    mkdirSync(this.#root, { recursive: true });
    for (const name of readdirSync(this.#root)) {
      const entry = readEntry(join(this.#root, name, "pod.json"));
      if (entry) this.#entries.set(entry.uid, entry);
    }
  }

  folder(uid: string): string {
    return join(this.#root, shortName(uid));
  }

  /** Every pod that has a folder, and folders that lost their `pod.json`. */
  all(): readonly { readonly uid: string; readonly entry: PodEntry | undefined }[] {
    const names = readdirSync(this.#root, { withFileTypes: true }).filter((item) => item.isDirectory());
    return names.map(({ name }) => {
      const entry = [...this.#entries.values()].find(({ uid }) => shortName(uid) === name);
      return { uid: entry?.uid ?? name, entry };
    });
  }

  /**
   * The pod's entry, made with a new address where there is none.
   *
   * @throws when all addresses of the network are taken, or the disk is full
   */
  claim(pod: Omit<PodEntry, "ip">): PodEntry {
    const held = this.#entries.get(pod.uid);
    if (held) return held;
    const taken = new Set([...this.#entries.values()].map(({ ip }) => ip));
    const ip = nextAddress(this.#network, taken, readText(this.#lastPath));
    if (ip === undefined) throw new Error(`no address left in ${this.#network}.0.0/16: delete some pods`);
    const entry = { ...pod, ip };
    mkdirSync(this.folder(pod.uid), { recursive: true });
    writeWhole(join(this.folder(pod.uid), "pod.json"), JSON.stringify(entry));
    writeWhole(this.#lastPath, ip);
    this.#entries.set(pod.uid, entry);
    return entry;
  }

  /** Whether a process of the pod still runs. */
  runs(uid: string): boolean {
    return this.#attempts(uid).some(shimRuns);
  }

  /** Kills what still runs of a pod and removes its folder; its address is free again. Returns how many processes were killed. */
  remove(uid: string): number {
    const killed = this.endProcesses(uid);
    rmSync(this.folder(uid), { recursive: true, force: true, maxRetries: 3 });
    this.#entries.delete(uid);
    return killed;
  }

  /** Kills what still runs of a pod; returns how many processes were killed. */
  endProcesses(uid: string): number {
    return this.#attempts(uid).reduce((sum, attempt) => sum + killAll(attempt, { shimToo: true }), 0);
  }

  #attempts(uid: string): readonly Attempt[] {
    return listFolders(join(this.folder(uid), "containers")).flatMap((container) => readAttempts(container));
  }

  get #lastPath(): string {
    return join(this.#root, "last-address");
  }
}

/** Sockets in a pod's volumes have paths of at most 107 bytes, so its folder has a short name; of a short name, itself. */
function shortName(uid: string): string {
  return uid.replaceAll("-", "").slice(0, 12);
}

function readEntry(path: string): PodEntry | undefined {
  try {
    const { uid, namespace, name, ip } = JSON.parse(readText(path) ?? "") as Partial<PodEntry>;
    return uid && namespace && name && ip ? { uid, namespace, name, ip } : undefined;
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function listFolders(path: string): readonly string[] {
  try {
    return readdirSync(path).map((name) => join(path, name));
  } catch {
    return [];
  }
}
