import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { stringify } from "yaml";
import { loadConnection } from "./kubeconfig.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kubeconfig-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.unstubAllEnvs();
});

const base64 = (text: string) => Buffer.from(text).toString("base64");

function save(name: string, user: Record<string, unknown>, more: Record<string, unknown> = {}): string {
  const path = join(folder, name);
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [
      { name, cluster: { server: `https://${name}:6443`, "certificate-authority-data": base64("CA") } },
    ],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "demo" } }],
    ...more,
  };
  writeFileSync(path, stringify(config));
  return path;
}

test("reads certificates that stand in it", async () => {
  const kubeconfig = save("one", {
    "client-certificate-data": base64("CERT"),
    "client-key-data": base64("KEY"),
  });
  expect(await loadConnection({ kubeconfig })).toEqual({
    url: "https://one:6443",
    ca: "CA",
    certificate: "CERT",
    key: "KEY",
    namespace: "demo",
  });
});

test("files count from where the kubeconfig is, and a token file is read at each request", async () => {
  writeFileSync(join(folder, "token"), "t1\n");
  const { token } = await loadConnection({ kubeconfig: save("one", { tokenFile: "token" }) });
  const read = typeof token === "function" ? token : () => "not a function";
  expect(read()).toBe("t1");
  writeFileSync(join(folder, "token"), "t2\n");
  expect(read()).toBe("t2");
});

test("$KUBECONFIG may name several: the first current context counts, any context can be chosen", async () => {
  vi.stubEnv(
    "KUBECONFIG",
    [save("one", { token: "1" }), join(folder, "missing"), save("two", { token: "2" })].join(delimiter),
  );
  expect(await loadConnection()).toMatchObject({ url: "https://one:6443", token: "1" });
  expect(await loadConnection({ context: "two" })).toMatchObject({ url: "https://two:6443", token: "2" });
});

test("an exec plugin gives the token", async () => {
  const credential = {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: "from-plugin" },
  };
  const exec = {
    apiVersion: credential.apiVersion,
    command: process.execPath,
    args: ["-e", `console.log(${JSON.stringify(JSON.stringify(credential))})`],
  };
  const { token, url, ca } = await loadConnection({ kubeconfig: save("one", { exec }) });
  expect({ url, ca }).toEqual({ url: "https://one:6443", ca: "CA" });
  expect(typeof token === "function" && (await token())).toBe("from-plugin");
});

test("an exec plugin that fails is named with its words", async () => {
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: process.execPath,
    args: ["-e", "console.error('log in first'); process.exit(1)"],
  };
  await expect(loadConnection({ kubeconfig: save("one", { exec }) })).rejects.toThrow(
    "the credential plugin of context `one` failed: log in first",
  );
});

test("says what is wrong", async () => {
  const kubeconfig = save("one", {});
  await expect(loadConnection({ kubeconfig, context: "nope" })).rejects.toThrow("there is no context `nope`");
  await expect(loadConnection({ kubeconfig: join(folder, "missing") })).rejects.toThrow(
    `cannot read the kubeconfig ${join(folder, "missing")}: there is no such file`,
  );
  writeFileSync(kubeconfig, "clusters: [");
  await expect(loadConnection({ kubeconfig })).rejects.toThrow("cannot read the kubeconfig");
  writeFileSync(kubeconfig, "");
  await expect(loadConnection({ kubeconfig })).rejects.toThrow("no context is chosen");
  vi.stubEnv("KUBECONFIG", "");
  vi.stubEnv("HOME", folder);
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
  await expect(loadConnection()).rejects.toThrow("no kubeconfig found");
});
