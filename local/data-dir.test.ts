import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { explainDisk, holderOf, openDataDir } from "./data-dir.ts";
import { startKubernetes } from "./index.ts";
import { hostAddress } from "./node/address.ts";
import { claimSubnet, freeSubnet, portProblem } from "./subnet.ts";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-data-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("a folder has one user, who is named to the next; a dead one's lock is taken over", () => {
  const folder = newFolder();
  const held = openDataDir(folder);
  expect(() => openDataDir(folder)).toThrow(`is used by process ${process.pid}`);
  expect(holderOf(folder)?.pid).toBe(process.pid);
  held.release();
  expect(holderOf(folder)).toBeUndefined();
  // The same pid, but another process: the machine was restarted since.
  writeFileSync(held.lock, JSON.stringify({ pid: process.pid, startTime: "1" }));
  openDataDir(folder).release();
  writeFileSync(held.lock, "not json");
  openDataDir(folder).release();
});

test("a disk that cannot take it says what to do", () => {
  const full = Object.assign(new Error("write"), { code: "ENOSPC" });
  expect(explainDisk(full, "/x")).toBe(
    "no space left on the disk of /x: free some, or name another data folder (`--data`)",
  );
  const file = join(newFolder(), "file");
  writeFileSync(file, "");
  chmodSync(file, 0o400);
  expect(() => openDataDir(file)).toThrow(`${file} cannot be used`);
  expect(() => openDataDir("/proc/fairlead")).toThrow(
    "/proc/fairlead cannot be made: its file system takes no new folders; name another data folder (`--data`)",
  );
});

test("a subnet stays with its folder while its pods may run, whether or not its port is free", async () => {
  const claims = newFolder();
  const [data, other] = [openDataDir(newFolder()), openDataDir(newFolder())];
  const subnet = await claimSubnet(data, 6443, claims);
  expect(await claimSubnet(data, 6443, claims)).toBe(subnet);
  const next = await claimSubnet(other, 6443, claims);
  expect(next).not.toBe(subnet);
  other.release();
  rmSync(other.root, { recursive: true });
  const third = openDataDir(newFolder());
  expect(await claimSubnet(third, 6443, claims)).toBe(next);
  data.release();
  third.release();
});

test("a taken port is told with what to do", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  expect(await portProblem("127.0.0.1", port)).toContain(
    `is in use by process ${process.pid} (node): stop it`,
  );
  await new Promise((resolve) => server.close(resolve));
  expect(await portProblem("127.0.0.1", port)).toBeUndefined();
});

test("nothing starts where a port that is needed later is taken, as pods would outlive the failure", async () => {
  const dataDir = newFolder();
  const subnet = await freeSubnet(6443, undefined, 210);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(15010, hostAddress(`127.${subnet}`), () => resolve()));
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  await expect(startKubernetes({ dataDir, subnet, laterPorts: [15010] })).rejects.toThrow(
    `:15010 is in use by process ${process.pid}`,
  );
  expect(existsSync(join(dataDir, "kubeconfig"))).toBe(false);
  expect(holderOf(dataDir)).toBeUndefined();
});
