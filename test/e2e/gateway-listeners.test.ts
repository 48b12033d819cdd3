/** Listeners, the routes that attach to them, and TLS of the Gateway API on a real Envoy (docs/gateway-api.md). */

import { connect } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import {
  cert,
  type Edge,
  echo,
  gateway,
  object,
  parent,
  raw,
  route,
  startEdge,
  to,
  wild,
} from "./support/gateway-edge.ts";
import { askTls, type Manifest, makeCertificate, peerOf, tlsSecret } from "./support/gateway-world.ts";

const net = 180 + (process.pid % 10);

describe.skipIf(envoyMissing !== undefined)("listeners of the Gateway API", () => {
  let edge: Edge;

  beforeAll(async () => {
    edge = await startEdge(net);
  }, 60_000);

  afterAll(() => edge?.world.stop());

  test("routes attach where listeners allow it: names, namespaces and hostnames", async () => {
    edge.world.put(
      object("HTTPRoute", "no-listener", { parentRefs: parent("nowhere"), rules: [] }),
      route("no-host", ["other.org"], [], "https"),
      object(
        "HTTPRoute",
        "foreign",
        { parentRefs: [{ name: "edge", namespace: "demo" }], rules: [] },
        { namespace: "other" },
      ),
    );
    await until("they are judged", () => edge.conditions("foreign").Accepted !== undefined);
    expect(edge.conditions("no-listener").Accepted).toBe("False NoMatchingParent");
    expect(edge.conditions("no-host").Accepted).toBe("False NoMatchingListenerHostname");
    expect(edge.conditions("foreign").Accepted).toBe("False NotAllowedByListeners");
  });

  test("a listener that cannot be served is told, the others serve", () => {
    const [status] = edge.world.mesh.gatewayApi().statuses.gateways;
    const of = (name: string) =>
      Object.fromEntries(
        status?.listeners
          .find((one) => one.name === name)
          ?.conditions.map((one) => [one.type, `${one.status} ${one.reason}`]) ?? [],
      );
    expect(of("broken")).toMatchObject({
      Accepted: "True Accepted",
      ResolvedRefs: "False InvalidCertificateRef",
      Programmed: "False Invalid",
    });
    expect(of("https")).toMatchObject({ ResolvedRefs: "True ResolvedRefs", Programmed: "True Programmed" });
    expect(status?.accepted.reason).toBe("ListenersNotValid");
    expect(status?.listeners.find(({ name }) => name === "http")?.attachedRoutes).toBe(1);
  });

  test("listeners of one port are isolated: the most exact name has a host to itself", async () => {
    await edge.serve(
      route("wide", ["a.narrow.example.com", "b.example.com"], [{ backendRefs: [to("a")] }]),
      route(
        "narrow",
        ["*.narrow.example.com"],
        [{ matches: [{ path: { value: "/b" } }], backendRefs: [to("b")] }],
        "narrow",
      ),
    );
    expect(await edge.from("b.example.com")).toBe("a");
    expect(await edge.from("a.narrow.example.com", "/b")).toBe("b");
    expect((await edge.ask("a.narrow.example.com", "/")).status).toBe(404);
  });

  test("HTTPS by server name; a request for another listener's host on the connection is 421", async () => {
    await edge.serve(
      route("shop", ["shop.example.com"], [{ backendRefs: [to("a")] }], "https"),
      route("rest", ["rest.example.com"], [{ backendRefs: [to("b")] }], "wild"),
    );
    const at = { ip: edge.ip, port: 8443, name: "shop.example.com", root: cert.root };
    expect(echo(await askTls(at)).from).toBe("a");
    expect(echo(await askTls({ ...at, name: "rest.example.com", root: wild.root })).from).toBe("b");
    expect((await askTls({ ...at, host: "rest.example.com" })).status).toBe(421);
    expect((await askTls({ ...at, host: "nobody.org" })).status).toBe(404);
  });

  test("TLSRoute passes the bytes on by server name, TCPRoute by port", async () => {
    await edge.serve(
      object("TLSRoute", "raw", {
        parentRefs: parent("raw"),
        hostnames: ["raw.example.com"],
        rules: [{ backendRefs: [{ name: "raw", port: 443 }] }],
      }),
      object("TCPRoute", "tcp", { parentRefs: parent("tcp"), rules: [{ backendRefs: [to("c")] }] }),
    );
    await expect(peerOf(edge.ip, 8443, "raw.example.com", raw.root)).resolves.toBe("raw");
    expect(echo(await edge.ask("any", "/", {}, "GET", 8090)).from).toBe("c");
  });

  test("GRPCRoute: by service and method", async () => {
    const { createServer } = await import("node:http2");
    const served: string[] = [];
    const grpc = createServer();
    grpc.on("stream", (stream, headers) => {
      served.push(String(headers[":path"]));
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end();
    });
    const at = `127.${net}.3.2`;
    await new Promise<void>((resolve) => grpc.listen(8080, at, resolve));
    edge.world.put(...edge.world.service("grpc", at, 8080, { portName: "grpc" }));
    await edge.serve(
      object("GRPCRoute", "grpc", {
        parentRefs: parent("http"),
        hostnames: ["grpc.example.com"],
        rules: [
          { matches: [{ method: { service: "shop.Cart", method: "Add" } }], backendRefs: [to("grpc")] },
          { matches: [{ method: { service: "shop.Lost" } }], backendRefs: [to("nobody")] },
          { matches: [{ method: { service: "shop.Nowhere" } }] },
        ],
      }),
    );
    const session = connect(`http://${edge.ip}:8080`);
    const call = (path: string) =>
      new Promise<string>((resolve, reject) => {
        const stream = session.request({
          ":path": path,
          ":method": "POST",
          ":authority": "grpc.example.com",
          "content-type": "application/grpc",
          te: "trailers",
        });
        let status = "";
        stream.on("response", (headers) => {
          status = String(headers["grpc-status"] ?? "");
        });
        stream.on("trailers", (trailers) => {
          status = String(trailers["grpc-status"]);
        });
        stream.on("close", () => resolve(status));
        stream.on("error", reject);
        stream.resume();
        stream.end();
      });
    expect(await call("/shop.Cart/Add")).toBe("0");
    expect(served).toEqual(["/shop.Cart/Add"]);
    // Nobody has it: gRPC's unimplemented.
    expect(await call("/shop.Cart/Drop")).toBe("12");
    // What leads nowhere is unavailable.
    expect(await call("/shop.Lost/Add")).toBe("14");
    expect(await call("/shop.Nowhere/Add")).toBe("14");
    session.close();
    grpc.close();
  });

  test("BackendTLSPolicy: the gateway speaks TLS to the Service and judges its certificate", async () => {
    await edge.serve(
      route("secure", ["secure.example.com"], [{ backendRefs: [{ name: "raw", port: 443 }] }]),
    );
    const policy = (hostname: string) =>
      object("BackendTLSPolicy", "raw", {
        targetRefs: [{ group: "", kind: "Service", name: "raw" }],
        validation: { hostname, caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "raw-roots" }] },
      });
    edge.world.put(
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "raw-roots", namespace: "demo" },
        data: { "ca.crt": raw.root },
      },
      policy("raw.example.com"),
    );
    await until("it is answered over TLS", async () => (await edge.ask("secure.example.com")).body === "raw");
    edge.world.put(policy("wrong.example.com"));
    await until(
      "another name is not taken",
      async () => (await edge.ask("secure.example.com")).status === 503,
    );
    expect(
      edge.world.mesh.gatewayApi().statuses.policies[0]?.ancestors[0]?.conditions.map(({ reason }) => reason),
    ).toEqual(["Accepted", "ResolvedRefs"]);
  });

  test("backends that ask for a certificate are shown the Gateway's own", async () => {
    const client = makeCertificate("edge.example.com");
    const guarded = makeCertificate("guarded.example.com");
    await edge.world.tlsBackend("guarded", guarded, client.root);
    const configMap = (name: string, root: string): Manifest => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "demo" },
      data: { "ca.crt": root },
    });
    const withClient = (clientCertificateRef: object): Manifest => ({
      ...gateway,
      spec: { ...Object(gateway.spec), tls: { backend: { clientCertificateRef } } },
    });
    const resolved = () => edge.world.mesh.gatewayApi().statuses.gateways[0]?.resolved;
    edge.world.put(
      configMap("guarded-roots", guarded.root),
      object("BackendTLSPolicy", "guarded", {
        targetRefs: [{ group: "", kind: "Service", name: "guarded" }],
        validation: {
          hostname: "guarded.example.com",
          caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "guarded-roots" }],
        },
      }),
    );
    await edge.serve(
      route("guarded", ["guarded.example.com"], [{ backendRefs: [{ name: "guarded", port: 443 }] }]),
    );
    const asked = async () => edge.ask("guarded.example.com");
    await until("who shows nothing is turned away", async () => (await asked()).status === 503);
    edge.world.put(tlsSecret("edge-client", client), withClient({ name: "edge-client" }));
    await until("the certificate is taken", async () => (await asked()).body === "guarded");
    expect(resolved()).toMatchObject({ status: "True" });
    // A broken one does not take its place, and another namespace's needs a grant.
    edge.world.put(tlsSecret("edge-client", { cert: client.cert, key: guarded.key }));
    await until("it is told", () => resolved()?.status === "False");
    expect(resolved()).toMatchObject({
      reason: "InvalidClientCertificateRef",
      message: "Secret `edge-client` has a key that is not its certificate's: what it held before stays",
    });
    await edge.world.settled();
    expect((await asked()).body).toBe("guarded");
    edge.world.put(withClient({ name: "edge-client", namespace: "elsewhere" }));
    await until("it is told", () => resolved()?.reason === "RefNotPermitted");
    await until("nothing is shown any more", async () => (await asked()).status === 503);
    edge.world.put(gateway);
    await until("nothing is named", () => resolved()?.status === "True");
  });
});
