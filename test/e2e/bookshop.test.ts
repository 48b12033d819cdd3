/** `examples/bookshop` in network namespaces: who may call whom, on real sidecars, also while a release runs. */
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PodKind } from "../../api/core.ts";
import { CanaryKind, type RequestAuthentication } from "../../api/kinds.ts";
import type { UnreadObject } from "../../api/resource.ts";
import { startWorld, type World } from "../../cli/demo/world.ts";
import { readFiles } from "../../cli/manifest-files.ts";
import { programFile } from "../../cli/up/program-file.ts";
import { until } from "../../local/testing/until.ts";
import { KeyRing, makeToken } from "../../policy/cases/token.ts";
import { applyAll, inside, pod, sandboxOf, service, untilReady, why } from "./support/pod-network.ts";

const shop = "bookshop";
const issuer = "https://issuer.example.com";
const keys = new KeyRing();
const example = join(import.meta.dirname, "../../examples/bookshop");

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

describe.skipIf(why !== undefined)(`a shop of books under its policies ${why ?? ""}`, () => {
  let world: World;
  const state = () => join(world.folder, "state");

  /** One request of a pod's, through its sidecar; status 0 where the connection was closed. */
  async function ask(from: string, url: string, ...options: readonly string[]): Promise<Answer> {
    const [namespace = "", name = ""] = from.split("/");
    const words = ["curl", "-sS", "-i", "-m", "5", "--path-as-is", ...options, url];
    const quoted = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    const said = await inside(sandboxOf(state(), namespace, name), quoted);
    const [head = "", ...body] = said.replaceAll("\r", "").split("\n\n");
    return {
      status: Number(/^HTTP\/\S+ (\d+)/.exec(head)?.[1] ?? 0),
      headers: head,
      body: body.join("\n\n"),
    };
  }
  const visit = (path: string, ...options: readonly string[]) =>
    ask(`${shop}/visitor`, `http://frontpage${path}`, ...options);
  const bearer = (claims: object) => {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: issuer, sub: "ann", exp: now + 300, ...claims };
    return makeToken({ key: "ec", header: { alg: "ES256", kid: "1" }, claims: all }, keys, now);
  };
  const withToken = (claims: object) => ["-H", `authorization: Bearer ${bearer(claims)}`];

  function fairlead(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
    const env = { ...process.env, KUBECONFIG: world.ready.kubeconfig, NO_COLOR: "1", FORCE_COLOR: undefined };
    return new Promise((resolve) => {
      execFile(process.execPath, [programFile, ...args], { env }, (error, out, err) =>
        resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err }),
      );
    });
  }

  beforeAll(async () => {
    world = await startWorld({ yes: true, network: "netns" });
    const jwks = JSON.stringify({ keys: [keys.jwk({ ref: "ec", kid: "1" })] });
    const objects = readFiles([example]).map(({ object }) =>
      object.kind === "RequestAuthentication" ? withKeys(object, jwks) : quick(object),
    );
    const [namespace, ...rest] = objects;
    if (namespace === undefined) throw new Error("the example is empty");
    await applyAll(world.client, [
      namespace,
      ...pod(shop, "visitor"),
      service(shop, "till", { tcp: [9000, 9000] }),
      ...pod(shop, "till", { tcpPorts: [9000] }),
      ...rest,
      { apiVersion: "v1", kind: "Namespace", metadata: { name: "street" } },
      ...pod("street", "stranger"),
    ]);
    await until("the canary guards reviews", async () => (await phase()) === "Initialized", 90_000);
    await untilReady(world.client, shop);
    await untilReady(world.client, "street");
    await until(
      "the policies are in force",
      async () => (await visit("/")).body.includes('"reviews":200'),
      30_000,
    );
  }, 150_000);
  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
  });

  const phase = async () => (await world.client.get(CanaryKind, shop, "reviews"))?.status?.phase;

  test("nobody gets in whom no policy names: not without a certificate, not with another's", async () => {
    expect((await ask("street/stranger", `http://frontpage.${shop}/`)).status).toBe(0);
    for (const host of ["details", "reviews", "ratings", "gate"])
      expect([host, (await ask(`${shop}/visitor`, `http://${host}/`)).status]).toEqual([host, 403]);
    // Its own pods call on behalf of the front page: by their identity they may.
    const { status, body } = await visit("/");
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ name: "frontpage", calls: { details: 200, reviews: 200 } });
  });

  test("a caller may do what its rule says: by method and path", async () => {
    expect((await visit("/books/1")).status).toBe(200);
    expect((await visit("/books/1", "-X", "DELETE")).status).toBe(403);
    expect((await visit("/other")).status).toBe(403);
  });

  test("a closed path is closed in every spelling", async () => {
    const spellings = [
      "/admin",
      "//admin",
      "/admin/",
      "/%61dmin",
      "/%2fadmin",
      "/%2Fadmin/x",
      "/books/../admin",
      "/books/%2e%2e/admin",
      "/%5cadmin",
      "/./admin?x=/books/1",
    ];
    const answers = await Promise.all(spellings.map((path) => visit(path)));
    expect(answers.map(({ status }, index) => [spellings[index], status])).toEqual(
      spellings.map((path) => [path, 403]),
    );
    // Another path that only begins like it.
    expect((await visit("/administrator")).status).toBe(200);
  });

  test("a token is required where a rule wants one, and its claims decide", async () => {
    expect((await visit("/account")).status).toBe(403);
    expect((await visit("/account", ...withToken({}))).status).toBe(200);
    const [header = "", payload = ""] = bearer({}).split(".");
    const forged = await visit(
      "/account",
      "-H",
      `authorization: Bearer ${header}.${payload}.${"A".repeat(86)}`,
    );
    expect(forged.status).toBe(401);
    expect((await visit("/account", ...withToken({ exp: 1 }))).status).toBe(401);
    expect((await visit("/books/1", "-X", "DELETE", ...withToken({ roles: ["reader"] }))).status).toBe(403);
    expect(
      (await visit("/books/1", "-X", "DELETE", ...withToken({ roles: ["reader", "editor"] }))).status,
    ).toBe(200);
  });

  test("an external authorizer's word counts", async () => {
    const refused = await visit("/checkout");
    expect([refused.status, refused.body]).toEqual([403, "sign in first"]);
    expect((await visit("/checkout", "-H", "x-customer: known")).status).toBe(200);
  });

  test("a dry run is seen in the metrics, and changes nothing", async () => {
    expect(JSON.parse((await visit("/")).body)).toMatchObject({ calls: { details: 200 } });
    const details = await podOf("details");
    const page = (await ask(`${shop}/${details}`, "http://127.0.0.1:15020/stats/prometheus")).body;
    const counted = page
      .split("\n")
      .filter((line) => line.startsWith("envoy_http_rbac_istio_dry_run_deny__shadow_denied{"));
    expect(counted.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0)).toBeGreaterThan(0);
  });

  test("an answer that denies says nothing of the policies, and the sidecar's log nothing of the token", async () => {
    const token = bearer({ roles: ["reader"] });
    const id = "11111111-2222-4333-8444-555555555555";
    const denied = await visit(
      "/books/1?secret=canary",
      "-X",
      "DELETE",
      "-H",
      `authorization: Bearer ${token}`,
      "-H",
      `x-request-id: ${id}`,
    );
    const forged = await visit("/account", "-H", `authorization: Bearer ${token.slice(0, -10)}AAAAAAAAAA`);
    expect(denied.body).toBe("RBAC: access denied");
    for (const { headers, body } of [denied, forged, await visit("/admin")])
      expect(`${headers}${body}`).not.toMatch(
        /policy|rule|principal|spiffe|frontpage-|nobody|no-admin|sa\//i,
      );
    const [, payload = "", signature = ""] = token.split(".");
    for (const { headers, body } of [denied, forged])
      for (const secret of [payload, signature]) expect(`${headers}${body}`).not.toContain(secret);

    const log = await until("the denial is in the log", async () => {
      const text = await world.client.text(
        `/api/v1/namespaces/${shop}/pods/${await podOf("frontpage")}/log?container=istio-proxy`,
      );
      return text.includes(id) ? text : undefined;
    });
    for (const secret of [payload, signature, "secret=canary"]) expect(log).not.toContain(secret);
    const { code, out } = await fairlead("explain", "denial", "--request-id", id, "-n", shop);
    expect([code, out]).toEqual([0, expect.stringContaining("none of the 3 ALLOW rules matches")]);
    expect(out).toContain("spiffe://cluster.local/ns/bookshop/sa/visitor");
    expect(out).not.toContain(payload);
  });

  test("the live rule that denied is named, and asked in advance it says the same", async () => {
    const id = "aaaaaaaa-2222-4333-8444-555555555555";
    expect((await visit("/admin/users", "-H", `x-request-id: ${id}`)).status).toBe(403);
    const explained = await until("the denial is explained", async () => {
      const { code, out } = await fairlead("explain", "denial", "--request-id", id, "-n", shop, "-o", "json");
      return code === 0 ? out : undefined;
    });
    const rule = "ns[bookshop]-policy[no-admin]-rule[0]";
    expect(JSON.parse(explained)).toMatchObject([{ rule, denial: { method: "GET", path: "/admin/users" } }]);
    const asked = await fairlead(
      "authz",
      "test",
      "--from",
      `${shop}/visitor`,
      "--to",
      "deploy/frontpage",
      "--path",
      "/%2fadmin/users",
      "-n",
      shop,
      "-o",
      "json",
    );
    expect([asked.code, JSON.parse(asked.out)]).toMatchObject([1, { decision: "deny", status: 403, rule }]);
    const checked = await fairlead("authz", "check", "reviews-primary", "-n", shop, "-o", "json");
    expect(JSON.parse(checked.out)).toMatchObject({
      policies: [{ name: "nobody" }, { name: "reviews", by: "target" }],
      mutualTls: [{ port: 9080, mode: "STRICT" }],
    });
  });

  test("a connection without HTTP is refused by the same rules, and listed", async () => {
    const visitor = sandboxOf(state(), shop, "visitor");
    expect(
      await inside(visitor, `exec 3<>/dev/tcp/till/9000 && echo ping >&3 && read -t 5 -r first <&3`),
    ).toMatch(/^failed/);
    const denials = await until("the denial is listed", async () => {
      const { out } = await fairlead("explain", "denial", "-n", shop, "-o", "json");
      const all = JSON.parse(out) as { pod: string }[];
      const here = all.filter(({ pod: name }) => name === "till");
      return here.length > 0 ? here : undefined;
    });
    expect(denials).toMatchObject([
      {
        status: 0,
        details: "rbac_access_denied_matched_policy[none]",
        principal: "spiffe://cluster.local/ns/bookshop/sa/visitor",
        destination: expect.stringMatching(/:9000$/),
      },
    ]);
  });

  test("a release opens no door and closes none", async () => {
    // The front page may do anything, except read drafts: without the target's policies a new workload would be open.
    const policy = (name: string, spec: object): UnreadObject => ({
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name, namespace: shop },
      spec,
    });
    await applyAll(world.client, [
      policy("trusted", {
        rules: [{ from: [{ source: { principals: ["cluster.local/ns/bookshop/sa/frontpage"] } }] }],
      }),
      policy("no-drafts", {
        selector: { matchLabels: { app: "reviews" } },
        action: "DENY",
        rules: [{ to: [{ operation: { paths: ["/drafts"] } }] }],
      }),
    ]);
    const frontpage = await podOf("frontpage");
    await until(
      "drafts are closed",
      async () => (await ask(`${shop}/${frontpage}`, "http://reviews/drafts")).status === 403,
    );
    const versions = new Set<string>();
    let done = false;
    /** Asks all the time, one after the other: which statuses came, and how often it asked. */
    const watch = async (from: string, url: string) => {
      const statuses = new Set<number>();
      const format = "%{http_code} %header{x-version}\\n";
      const loop = `for n in $(seq 30); do curl -s -m 5 -o /dev/null -w '${format}' http://${url}; done`;
      let count = 0;
      while (!done) {
        const lines = (await inside(sandboxOf(state(), shop, from), loop)).split("\n");
        for (const [status = "", version] of lines.map((line) => line.split(" "))) {
          statuses.add(Number(status));
          if (version) versions.add(version);
          count += 1;
        }
      }
      return { url, count, statuses: [...statuses].sort((a, b) => a - b) };
    };
    const open = watch(frontpage, "reviews/");
    const closed = ["reviews", "reviews-primary"].flatMap((host) => [
      watch("visitor", `${host}/`),
      watch(frontpage, `${host}/drafts`),
    ]);
    const canary = [watch("visitor", "reviews-canary/"), watch(frontpage, "reviews-canary/drafts")];
    await applyAll(world.client, [versionTwo()]);
    await until("version 2 is promoted", async () => (await phase()) === "Succeeded", 60_000);
    done = true;
    expect([...versions].sort()).toEqual(["1", "2"]);
    const { statuses, count } = await open;
    expect(statuses).toEqual([200]);
    expect(count).toBeGreaterThan(30);
    for (const seen of await Promise.all(closed)) expect(seen).toMatchObject({ statuses: [403] });
    // 503 while nobody stands behind it.
    for (const seen of await Promise.all(canary)) expect([[403], [403, 503]]).toContainEqual(seen.statuses);
  });

  async function podOf(app: string): Promise<string> {
    const { items } = await world.client.list(PodKind, { namespace: shop, labelSelector: `app=${app}` });
    const [first] = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (first === undefined) throw new Error(`no pod of ${app}`);
    return first.metadata.name;
  }
});

/** The keys of this run in the place of the example's. */
function withKeys(object: UnreadObject, jwks: string): UnreadObject {
  const spec = object.spec as NonNullable<RequestAuthentication["spec"]>;
  return { ...object, spec: { ...spec, jwtRules: spec.jwtRules?.map((rule) => ({ ...rule, jwks })) } };
}

/** The Deployment of the example's reviews, of another version. */
function versionTwo(): UnreadObject {
  const deployment = readFiles([join(example, "2-services.yaml")]).find(
    ({ object: { kind, metadata } }) => kind === "Deployment" && metadata.name === "reviews",
  );
  if (deployment === undefined) throw new Error("the example has no reviews");
  const text = JSON.stringify(deployment.object);
  expect(text).toContain('"value":"1"');
  return JSON.parse(text.replace('"value":"1"', '"value":"2"')) as UnreadObject;
}

/** The release in big steps, one a second. */
function quick(object: UnreadObject): UnreadObject {
  if (object.kind !== "Canary") return object;
  const spec = object.spec as { readonly analysis: object };
  return { ...object, spec: { ...spec, analysis: { ...spec.analysis, interval: "1s" } } };
}
