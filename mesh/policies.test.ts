/** The running part of policies: keys fetched behind the guard, settings followed, conditions written. */
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterEach, expect, test } from "vitest";
import { AuthorizationPolicyKind, RequestAuthenticationKind } from "../api/kinds.ts";
import type { Condition, Kind, KubeObject } from "../api/resource.ts";
import type { PatchStatus } from "../kube/contract.ts";
import { systemClock } from "../lib/clock.ts";
import { silent } from "../lib/log.ts";
import { until } from "../local/testing/until.ts";
import { defaultMesh } from "../policy/compile/mesh.ts";
import { readNode } from "./model/proxy.ts";
import { type Policies, startPolicies } from "./policies.ts";
import { createMemoryInformers } from "./testbed/informers.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const issuer = "https://idp.example";
const jwk = {
  ...generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }),
  kid: "first",
};

/** A key server on the loopback; `answer` may be changed. */
async function serveKeys() {
  const state = { answer: { status: 200, body: JSON.stringify({ keys: [jwk] }) }, asked: 0 };
  const server: Server = createServer((_, response) => {
    state.asked += 1;
    response.writeHead(state.answer.status).end(state.answer.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  });
  const address = server.address();
  return Object.assign(state, {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`,
  });
}

function security(kind: string, name: string, spec: object): KubeObject & Record<string, unknown> {
  return {
    apiVersion: "security.istio.io/v1",
    kind,
    metadata: { name, namespace: "shop", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec,
  };
}

const tokens = (jwksUri: string) =>
  security("RequestAuthentication", "tokens", { jwtRules: [{ issuer, jwksUri }] });
const gated = security("AuthorizationPolicy", "gated", {
  action: "CUSTOM",
  provider: { name: "gate" },
  rules: [{}],
});
const settings = (mesh: string) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "istio", namespace: "istio-system" },
  data: { mesh },
});
const gate = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "gate", namespace: "shop" },
  spec: { ports: [{ port: 80 }] },
};
const providers = `extensionProviders: [{ name: gate, envoyExtAuthzHttp: { service: gate.shop.svc.cluster.local, port: 80 } }]`;

async function start(objects: readonly KubeObject[], jwksAllow: readonly string[] = []) {
  const informers = createMemoryInformers(objects);
  /** As the API server: what is written is told to all. */
  const patchStatus: PatchStatus = <T extends KubeObject>(
    kind: Kind<T>,
    { namespace, name }: { readonly namespace?: string; readonly name: string },
    change: (object: T) => Record<string, unknown> | undefined,
  ) => {
    const object = informers.snapshot().get(kind, namespace, name);
    const status = object && change(object);
    if (object === undefined || status === undefined) return Promise.resolve(object);
    const written = { ...object, status };
    informers.put(written);
    return Promise.resolve(written);
  };
  const policies: Policies = await startPolicies({
    informers,
    clock: systemClock,
    logger: silent,
    patchStatus,
    base: defaultMesh,
    jwksAllow,
  });
  ends.push(() => policies.close());
  const proxy = readNode({
    $typeName: "envoy.config.core.v3.Node",
    id: "sidecar~10.0.0.1~web.shop~shop.svc.cluster.local",
  } as Parameters<typeof readNode>[0]);
  if ("refused" in proxy) throw new Error(proxy.refused);
  const bytes = () =>
    Buffer.concat(
      policies
        .filtersOf(proxy)
        .http.flatMap(({ configType }) =>
          configType.case === "typedConfig" ? [Buffer.from(configType.value.value)] : [],
        ),
    ).toString("latin1");
  const accepted = (kind: Kind): Condition | undefined =>
    (informers.snapshot().list(kind)[0] as { status?: { conditions?: Condition[] } } | undefined)?.status
      ?.conditions?.[0];
  return { informers, policies, accepted, bytes, filters: () => policies.filtersOf(proxy) };
}

test("keys on a closed address are not fetched: tokens are refused, and the condition says why", async () => {
  const keys = await serveKeys();
  const { accepted, bytes } = await start([tokens(keys.url)]);
  const message = await until("the condition is written", () => accepted(RequestAuthenticationKind)?.message);
  expect(message).toMatch(
    /^\/spec\/jwtRules\/0\/jwksUri: .*loopback.*tokens of `https:\/\/idp.example` are refused$/,
  );
  expect(accepted(RequestAuthenticationKind)?.status).toBe("False");
  expect(keys.asked).toBe(0);
  // No key of anybody's stands in for them.
  expect(bytes()).toContain("BlackHoleCluster");
  expect(bytes()).not.toContain('"kty"');
});

test("fetched keys reach the proxies, fetched once; a server that fails is told", async () => {
  const keys = await serveKeys();
  const { informers, policies, bytes, accepted } = await start([tokens(keys.url)], ["127.0.0.0/8"]);
  let changes = 0;
  policies.onChange(() => {
    changes += 1;
  });
  await until("the keys are there", () => bytes().includes('"kid":"first"'));
  expect(accepted(RequestAuthenticationKind)).toBeUndefined();
  // A change elsewhere fetches nothing again.
  informers.put(security("AuthorizationPolicy", "other", { rules: [{}] }));
  expect(keys.asked).toBe(1);
  keys.answer = { status: 500, body: "" };
  informers.remove(tokens(keys.url));
  expect(bytes()).not.toContain('"kid":"first"');
  informers.put(tokens(keys.url));
  await until("the failure is told", () =>
    accepted(RequestAuthenticationKind)?.message?.includes("status 500"),
  );
  expect(changes).toBeGreaterThan(0);
});

test("a CUSTOM policy closes until its provider and its Service are there, and says what is missing", async () => {
  const { informers, accepted, bytes } = await start([gated]);
  await until("the condition is written", () =>
    accepted(AuthorizationPolicyKind)?.message?.includes("there is no provider `gate`"),
  );
  expect(bytes()).toContain("deny-due-to-bad-CUSTOM-action");
  informers.put(settings(providers));
  await until("the Service is missed", () =>
    accepted(AuthorizationPolicyKind)?.message?.includes("there is no service `gate.shop.svc.cluster.local`"),
  );
  expect(bytes()).toContain("deny-due-to-bad-CUSTOM-action");
  informers.put(gate);
  await until("it is accepted", () => accepted(AuthorizationPolicyKind)?.status === "True");
  expect(bytes()).not.toContain("deny-due-to-bad-CUSTOM-action");
  informers.remove(gate);
  expect(bytes()).toContain("deny-due-to-bad-CUSTOM-action");
});

test("settings count at once; what cannot be read changes nothing and is told", async () => {
  const { informers, policies, filters } = await start([]);
  expect(filters().paths).toBe("BASE");
  const same = filters();
  informers.put(gate);
  expect(filters()).toBe(same);
  informers.put(settings("pathNormalization: { normalization: MERGE_SLASHES }"));
  expect(filters().paths).toBe("MERGE_SLASHES");
  informers.put(settings("pathNormalization: {"));
  expect(filters().paths).toBe("MERGE_SLASHES");
  expect(policies.problems()).toMatchObject([
    { resource: { kind: "ConfigMap", name: "istio" }, field: "/data/mesh" },
  ]);
  // A mode that nobody knows is taken as the one that refuses most.
  informers.put(settings("pathNormalization: { normalization: SOME }"));
  expect(filters().paths).toBe("STRICT");
  informers.remove(settings(""));
  expect(filters().paths).toBe("BASE");
  expect(policies.problems()).toEqual([]);
});
