/** Pods in network namespaces: programs that know of no proxy, through both sidecars, by each traffic annotation. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { UnreadObject } from "../../api/resource.ts";
import { startWorld, type World } from "../../cli/demo/world.ts";
import { until } from "../../local/testing/until.ts";
import {
  applyAll,
  curl,
  type InsidePods,
  inside,
  insidePods,
  namespace,
  pod,
  rawCall,
  type Seen,
  sandboxOf,
  service,
  untilReady,
  why,
  withIp,
} from "./support/pod-network.ts";

const mesh = "mesh";
const plain = "plain";
const prefix = "traffic.sidecar.istio.io/";
/** ClusterIPs of two Services that lead to the same pod. */
const webIp = "10.96.200.1";
const otherIp = "10.96.200.2";
const ports = { httpPorts: [8080], tcpPorts: [9000] };
const servicePorts = { http: [80, 8080], "tcp-echo": [9000, 9000] } as const;

const peerAuthentication = (mode: string, app = "web"): UnreadObject => ({
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: app, namespace: mesh },
  spec: { selector: { matchLabels: { app } }, mtls: { mode } },
});
const principal = (account: string) => `cluster.local/ns/${mesh}/sa/${account}`;
/** HTTP for everybody, raw connections for two callers by their identity. */
const tcpPolicy: UnreadObject = {
  apiVersion: "security.istio.io/v1",
  kind: "AuthorizationPolicy",
  metadata: { name: "web", namespace: mesh },
  spec: {
    selector: { matchLabels: { app: "web" } },
    rules: [
      { to: [{ operation: { ports: ["8080"] } }] },
      {
        from: [{ source: { principals: [principal("call-tcp"), principal("client")] } }],
        to: [{ operation: { ports: ["9000"] } }],
      },
    ],
  },
};
const annotated = (name: string, annotations: Record<string, string>, serves = {}) =>
  pod(mesh, name, {
    ...serves,
    annotations: Object.fromEntries(Object.entries(annotations).map(([key, value]) => [prefix + key, value])),
  });

describe.skipIf(why !== undefined)(`pods in network namespaces ${why ?? ""}`, () => {
  let world: World;
  let state: string;
  let shell: InsidePods["shell"];
  let seenBy: InsidePods["seenBy"];
  let ipOf: InsidePods["ipOf"];
  /** One of a sidecar's own counters. */
  const counter = async (name: string, stat: string): Promise<number> => {
    const text = await shell(mesh, name, `${curl} 'http://127.0.0.1:15000/stats?filter=${stat}'`);
    return text
      .split("\n")
      .map((line) => Number(line.split(": ")[1] ?? 0))
      .reduce((sum, value) => sum + value, 0);
  };
  const outbound = "cluster.outbound.*upstream_cx_total";
  /** Opens a raw connection; whom the server saw, and how many connections the caller's sidecar opened for it. */
  const raw = async (name: string, host: string, port = 9000) => {
    const before = await counter(name, outbound);
    const said = await shell(mesh, name, rawCall(host, port));
    return { said, proxied: (await counter(name, outbound)) - before };
  };
  const log = (name: string) =>
    world.client.text(`/api/v1/namespaces/${mesh}/pods/${name}/log?container=main`).catch(() => "");

  beforeAll(async () => {
    world = await startWorld({ yes: true, network: "netns" });
    state = join(world.folder, "state");
    ({ shell, seenBy, ipOf } = insidePods(state));
    await applyAll(world.client, [
      namespace(mesh, { "istio-injection": "enabled" }),
      namespace(plain),
      withIp(service(mesh, "web", servicePorts), webIp),
      withIp(
        { ...service(mesh, "web", servicePorts), metadata: { name: "other", namespace: mesh } },
        otherIp,
      ),
      service(mesh, "in-included", servicePorts),
      service(mesh, "in-excluded", servicePorts),
      service(plain, "bare", servicePorts),
      ...pod(mesh, "web", ports),
      // Its ports say no protocol, and one is no Service's.
      service(mesh, "mixed", { one: [7000, 8082], other: [7001, 9002] }),
      ...pod(mesh, "mixed", { httpPorts: [8082, 8083], tcpPorts: [9002] }),
      ...pod(mesh, "client"),
      ...pod(plain, "outsider"),
      ...pod(plain, "bare", ports),
      ...pod(plain, "bare-2", { ...ports, labels: { app: "bare" } }),
      ...annotated("no-ports", { excludeOutboundPorts: "9000" }),
      ...annotated("only-ports", { includeOutboundIPRanges: "", includeOutboundPorts: "9000" }),
      ...annotated("no-range", { excludeOutboundIPRanges: `${webIp}/32` }),
      ...annotated("only-range", { includeOutboundIPRanges: `${otherIp}/32` }),
      ...annotated("nics", { excludeInterfaces: "net1", kubevirtInterfaces: "kv0" }, ports),
      ...annotated("in-included", { includeInboundPorts: "8080" }, ports),
      ...annotated("in-excluded", { excludeInboundPorts: "9000" }, ports),
    ]);
    await untilReady(world.client, mesh, 120_000);
    await untilReady(world.client, plain);
  }, 240_000);
  afterAll(async () => {
    await world?.stop();
    if (world) rmSync(world.folder, { recursive: true, force: true });
  });

  test("a plain curl and a raw connection go through both sidecars, with mutual TLS", async () => {
    const webCalled = await counter("web", "http.inbound_8080.downstream_rq_total");
    await applyAll(world.client, [
      peerAuthentication("STRICT"),
      tcpPolicy,
      ...pod(mesh, "call-http", { command: ["curl", "-sS", "--retry", "3", "http://web/hello"] }),
      ...pod(mesh, "call-tcp", { command: ["bash", "-c", rawCall("web", 9000)] }),
    ]);
    const http = await until(
      "curl has its answer",
      async () => (await log("call-http")) || undefined,
      60_000,
    );
    const seen = JSON.parse(http) as Seen;
    expect(seen).toMatchObject({ pod: "web", peer: "127.0.0.6" });
    expect(seen.headers["x-forwarded-client-cert"]).toMatch(
      /^By=spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/web;.*URI=spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/call-http$/,
    );
    const tcp = await until(
      "the raw connection has its answer",
      async () => (await log("call-tcp")) || undefined,
      60_000,
    );
    expect(tcp.trim()).toBe("web 127.0.0.6 ping");

    // STRICT holds: nobody without a certificate, by neither protocol.
    await until("a stranger is refused", async () => {
      const said = await shell(plain, "outsider", `${curl} http://web.mesh/`);
      return said.startsWith("failed");
    });
    expect(await shell(plain, "outsider", rawCall("web.mesh", 9000))).toMatch(/^failed/);
    // The peer's verified identity decides about the raw connection.
    expect(await shell(mesh, "client", rawCall("web", 9000))).toBe("web 127.0.0.6 ping");
    expect(await shell(mesh, "in-included", rawCall("web", 9000))).toMatch(/^failed/);

    // Both sidecars counted them.
    const before = await counter("client", "outbound.9000..web.mesh.*upstream_cx_total");
    await seenBy(mesh, "client", "http://web/");
    await shell(mesh, "client", rawCall("web", 9000));
    expect(await counter("client", "outbound.80..web.mesh.*upstream_cx_total")).toBeGreaterThan(0);
    expect(await counter("client", "outbound.9000..web.mesh.*upstream_cx_total")).toBe(before + 1);
    expect(await counter("web", "http.inbound_8080.downstream_rq_total")).toBeGreaterThan(webCalled + 1);
    expect(await counter("web", "tcp.inbound.9000.*downstream_cx_total")).toBeGreaterThanOrEqual(3);
    const page = await shell(mesh, "web", `${curl} http://127.0.0.1:15020/stats/prometheus`);
    expect(page).toMatch(
      /istio_requests_total\{reporter="destination",[^}]*source_principal="spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/call-http"[^}]*connection_security_policy="mutual_tls"[^}]*response_code="200"/,
    );
  });

  test("the pod has exactly the rules of Istio's init container", async () => {
    const saved = await shell(mesh, "client", "iptables-save -t nat");
    expect(saved.split("\n").filter((line) => line.startsWith("-A"))).toEqual([
      "-A PREROUTING -p tcp -j ISTIO_INBOUND",
      "-A OUTPUT -j ISTIO_OUTPUT",
      "-A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN",
      "-A ISTIO_INBOUND -p tcp -m multiport --dports 15090,15021,15020 -j RETURN",
      "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
      "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006",
      "-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN",
      "-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT",
      "-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN",
      "-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
      "-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT",
      "-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN",
      "-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN",
      "-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN",
      "-A ISTIO_OUTPUT -j ISTIO_REDIRECT",
      "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001",
    ]);
    expect(await shell(plain, "bare", "iptables-save -t nat")).not.toContain("ISTIO");
    // The proxy runs as the user that the rules know.
    expect(await shell(mesh, "client", "ps -eo uid:1,comm | sort -u | grep envoy || true")).toMatch(
      /^1337 envoy/m,
    );
  });

  test("ports that say no protocol have mutual TLS too, for HTTP and for raw connections", async () => {
    await applyAll(world.client, [peerAuthentication("STRICT", "mixed")]);
    await until("a stranger is refused", async () => {
      const said = await shell(plain, "outsider", `${curl} http://mixed.mesh:7000/`);
      return said.startsWith("failed");
    });
    expect(await shell(plain, "outsider", rawCall("mixed.mesh", 7001))).toMatch(/^failed/);
    const { headers } = await seenBy(mesh, "client", "http://mixed:7000/");
    expect(headers["x-forwarded-client-cert"]).toContain("URI=spiffe://cluster.local/ns/mesh/sa/client");
    expect(await shell(mesh, "client", rawCall("mixed", 7001))).toBe("mixed 127.0.0.6 ping");
    // A port that no Service has is reached as its address is, without mutual TLS: STRICT refuses that.
    const ip = await ipOf(mesh, "mixed");
    expect(await shell(mesh, "client", `${curl} http://${ip}:8083/`)).not.toContain('"pod":"mixed"');
    expect(await shell(plain, "outsider", `${curl} http://${ip}:8083/`)).not.toContain('"pod":"mixed"');
  });

  describe("traffic annotations", () => {
    beforeAll(async () => {
      await applyAll(world.client, [
        peerAuthentication("PERMISSIVE"),
        { ...tcpPolicy, spec: { ...(tcpPolicy.spec as object), rules: [{}] } },
      ]);
      await until("a stranger is let in", async () =>
        (await shell(plain, "outsider", `${curl} http://web.mesh/`)).startsWith("{"),
      );
      await until("a raw stranger is let in", async () =>
        (await shell(plain, "outsider", rawCall("web.mesh", 9000))).startsWith("web"),
      );
    });

    test("excludeOutboundPorts: past the caller's sidecar, still through the server's", async () => {
      expect(await raw("no-ports", "web")).toEqual({ said: "web 127.0.0.6 ping", proxied: 0 });
      const { headers } = await seenBy(mesh, "no-ports", "http://web/");
      expect(headers["x-forwarded-client-cert"]).toContain("sa/no-ports");
    });

    test("includeOutboundPorts: only those, where no range is included", async () => {
      expect(await raw("only-ports", "web")).toEqual({ said: "web 127.0.0.6 ping", proxied: 1 });
      const { peer, headers } = await seenBy(mesh, "only-ports", "http://web/");
      expect([peer, headers["x-forwarded-client-cert"]]).toEqual(["127.0.0.6", undefined]);
    });

    test("excludeOutboundIPRanges: one Service past the sidecar, its twin through it", async () => {
      expect(
        (await seenBy(mesh, "no-range", "http://web/")).headers["x-forwarded-client-cert"],
      ).toBeUndefined();
      expect((await seenBy(mesh, "no-range", "http://other/")).headers["x-forwarded-client-cert"]).toContain(
        "sa/no-range",
      );
    });

    test("includeOutboundIPRanges: one Service through the sidecar, its twin past it", async () => {
      expect(
        (await seenBy(mesh, "only-range", "http://other/")).headers["x-forwarded-client-cert"],
      ).toContain("sa/only-range");
      expect(
        (await seenBy(mesh, "only-range", "http://web/")).headers["x-forwarded-client-cert"],
      ).toBeUndefined();
    });

    test("includeInboundPorts: other ports are reached directly", async () => {
      const ip = await ipOf(plain, "outsider");
      expect((await seenBy(plain, "outsider", "http://in-included.mesh/")).peer).toBe("127.0.0.6");
      expect(await shell(plain, "outsider", rawCall("in-included.mesh", 9000))).toBe(
        `in-included ${ip} ping`,
      );
    });

    test("excludeInboundPorts: those are reached directly, and the sidecar's own stay so", async () => {
      const ip = await ipOf(plain, "outsider");
      expect((await seenBy(plain, "outsider", "http://in-excluded.mesh/")).peer).toBe("127.0.0.6");
      expect(await shell(plain, "outsider", rawCall("in-excluded.mesh", 9000))).toBe(
        `in-excluded ${ip} ping`,
      );
      expect(await shell(mesh, "in-excluded", "iptables-save -t nat")).toContain(
        "--dports 15090,15021,15020,9000 -j RETURN",
      );
    });

    test("excludeInterfaces: past the sidecar both ways; kubevirtInterfaces: a machine behind the pod is in the mesh", async () => {
      // Two more links of the pod: one to another network, one to a virtual machine.
      const nics = sandboxOf(state, mesh, "nics");
      const far = sandboxOf(state, plain, "bare-2");
      const machine = sandboxOf(state, plain, "outsider");
      const link = async (name: string, to: number, near: string, other: string) => {
        await inside(
          nics,
          `ip link add ${name} type veth peer name ${name} netns ${to} && ip address add ${near}/24 dev ${name} && ip link set ${name} up`,
        );
        await inside(to, `ip address add ${other}/24 dev ${name} && ip link set ${name} up`);
      };
      await link("net1", far, "10.200.0.1", "10.200.0.2");
      await link("kv0", machine, "10.201.0.1", "10.201.0.2");
      await inside(nics, "echo 1 >/proc/sys/net/ipv4/ip_forward");
      await inside(machine, `ip route add ${webIp}/32 via 10.201.0.1 dev kv0`);
      const passed = () => counter("nics", "cluster.PassthroughCluster;?.upstream_cx_total");
      const before = await passed();
      expect((await seenBy(mesh, "nics", "http://10.200.0.2:8080/")).peer).toBe("10.200.0.1");
      expect(await passed()).toBe(before);
      expect((await seenBy(plain, "bare-2", "http://10.200.0.1:8080/")).peer).toBe("10.200.0.2");
      // The usual way in still goes through the sidecar.
      const ip = await ipOf(mesh, "nics").then((all) => all.split(" ")[0]);
      expect((await seenBy(plain, "bare-2", `http://${ip}:8080/`)).peer).toBe("127.0.0.6");
      // The machine knows of no mesh, and calls with the pod's identity.
      const seen = JSON.parse(
        await inside(machine, `${curl} --interface 10.201.0.2 http://${webIp}/`),
      ) as Seen;
      expect(seen.headers["x-forwarded-client-cert"]).toContain("sa/nics");
      await inside(machine, "ip link del kv0");
      await inside(nics, "ip link del net1");
    });
  });

  test("a killed control plane takes nothing with it, and the next one finds everything", async () => {
    const sandbox = sandboxOf(state, mesh, "client");
    await world.crash();
    expect((await seenBy(mesh, "client", "http://web/")).headers["x-forwarded-client-cert"]).toContain(
      "sa/client",
    );
    expect((await seenBy(plain, "outsider", "http://bare/")).pod).toMatch(/^bare/);
    await world.restart();
    expect(world.ready.network).toBe("netns");
    expect(sandboxOf(state, mesh, "client")).toBe(sandbox);
    await applyAll(world.client, pod(mesh, "late", ports));
    await applyAll(world.client, [service(mesh, "late", servicePorts)]);
    await untilReady(world.client, mesh);
    await until("the newcomer is reached by its name", async () =>
      (await shell(mesh, "client", `${curl} http://late/`)).startsWith("{"),
    );
  });
});
