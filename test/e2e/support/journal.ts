/** Every write that a control plane's API server stores, read from its disk: nothing is missed while it is dead. */
import { closeSync, existsSync, openSync, readSync, watch } from "node:fs";
import { join } from "node:path";
import type { KubeObject } from "../../../api/resource.ts";

/** Follows the journal of the API server that keeps its state in `dataDir`; `stored` is called as soon as a line is there. */
export function followJournal(
  dataDir: string,
  stored: (object: KubeObject, at: number) => void,
): { stop(): void } {
  const folder = join(dataDir, "state", "storage");
  let number = 0;
  let file: number | undefined;
  let position = 0;
  const chunk = Buffer.alloc(1 << 20);

  /** Reads the whole lines that are there; a torn one at the end is read again later. */
  const read = (): void => {
    file ??= open();
    if (file === undefined) return;
    for (;;) {
      const length = readSync(file, chunk, 0, chunk.length, position);
      const end = chunk.lastIndexOf(10, length - 1) + 1;
      if (length === 0 || end === 0) break;
      position += end;
      for (const line of chunk.toString("utf8", 0, end).split("\n")) take(line);
    }
    // A compaction goes on in a new file.
    if (!existsSync(join(folder, `journal-${number + 1}`))) return;
    closeSync(file);
    file = undefined;
    number += 1;
    position = 0;
    read();
  };
  const open = (): number | undefined => {
    const path = join(folder, `journal-${number}`);
    return existsSync(path) ? openSync(path, "r") : undefined;
  };
  const take = (line: string): void => {
    if (line === "") return;
    const { object } = JSON.parse(line) as { object?: KubeObject };
    if (object !== undefined) stored(object, Date.now());
  };

  read();
  const watcher = watch(folder, read);
  return {
    stop() {
      watcher.close();
      if (file !== undefined) closeSync(file);
    },
  };
}
