/** Connections that are not HTTP, led by iptables to a real sidecar: tcp and tls routes, ports that nobody declared, Services without an address. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { namespacesProblem } from "../../local/node/network/available.ts";
import { envoyMissing } from "../support/envoy.ts";

const why = envoyMissing ?? (await namespacesProblem());
const program = join(import.meta.dirname, "support", "redirected.ts");

/** As `support/redirected.ts` prints it. */
interface Observed {
  readonly before: Readonly<Record<string, number>>;
  readonly weighted: Readonly<Record<string, number>>;
  readonly vaultBefore: string;
  readonly byServerName: string;
  readonly byWildcard: string;
  readonly unnamed: string;
  readonly sniffedHttp: string;
  readonly sniffedRaw: string;
  readonly toEachPod: readonly Readonly<Record<string, number>>[];
  readonly lasts: number;
}

describe.skipIf(why !== undefined)(`connections through a sidecar ${why ?? ""}`, () => {
  let observed: Observed;

  beforeAll(async () => {
    // Nothing of it is left behind, whatever happens to it.
    const args = ["-n", "-p", "--fork", "--kill-child", process.execPath, program];
    const { stdout } = await promisify(execFile)("unshare", args, { timeout: 60_000 });
    observed = JSON.parse(stdout) as Observed;
  });

  test("tcp routes: connections by weight, and those of other callers' matches left out", () => {
    expect(observed.before).toEqual({ db: 5 });
    const { db = 0, "db-new": fresh = 0, ...others } = observed.weighted;
    expect(others).toEqual({});
    expect(fresh).toBeGreaterThan(175);
    expect(fresh).toBeLessThan(245);
    expect(db + fresh).toBe(300);
  });

  test("tls routes: by the server name that the client asks for; others are closed", () => {
    expect(observed.vaultBefore).toBe("vault");
    expect(observed.byServerName).toBe("vault");
    expect(observed.byWildcard).toBe("vault-new");
    expect(observed.unnamed).toBe("");
  });

  test("ports that nobody declared: HTTP and raw connections", () => {
    expect(observed.sniffedHttp).toBe("web");
    expect(observed.sniffedRaw).toBe("other");
  });

  test("a Service without an address: a connection reaches the very pod that was asked for", () => {
    expect(observed.toEachPod).toEqual([{ "peer-0": 4 }, { "peer-1": 4 }]);
  });

  test("limits: a connection is ended when it has lasted as long as the policy lets it", () => {
    expect(observed.lasts).toBeGreaterThanOrEqual(450);
    expect(observed.lasts).toBeLessThan(3000);
  });
});
