import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { isGone, ownHolder } from "./holder.ts";

test("a holder is gone when its process is, and only where that can be known", async () => {
  const own = ownHolder();
  expect(ownHolder()).not.toBe(own);
  expect(isGone(own)).toBe(false);

  const file = JSON.stringify(new URL("./holder.ts", import.meta.url).href);
  const script = `import { ownHolder } from ${file}; console.log(ownHolder()); setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const other = line.toString().trim();
  expect(isGone(other)).toBe(false);
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
  expect(isGone(other)).toBe(true);

  const [host, boot, namespace, ...rest] = other.split("_");
  // Of another boot or machine, of another pid namespace, and named by somebody else.
  expect(isGone([host, `${boot?.slice(1)}0`, namespace, ...rest].join("_"))).toBe(false);
  expect(isGone([host, boot, "1", ...rest].join("_"))).toBe(false);
  expect(isGone("fairlead-controller-7d9f")).toBe(false);
  expect(isGone("")).toBe(false);
});
