/** The init container's rules in mode TPROXY, before a real Envoy: what comes in keeps its address and port. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { injectorArguments } from "../../mesh/agent/iptables/testing/injector-arguments.ts";
import { envoyBinary } from "../support/envoy.ts";
import { net, openPair, type Pair, pod, ports } from "./support/linked-namespaces.ts";
import { why } from "./support/pod-network.ts";

describe.skipIf(why !== undefined)(`TPROXY ${why ?? ""}`, () => {
  let pair: Pair;
  beforeAll(async () => {
    // Envoy stands on 15006: only a transparent socket takes what is meant for another port.
    pair = await openPair(ports);
    const folder = mkdtempSync(join(tmpdir(), "fl-tproxy-"));
    const file = join(folder, "envoy.json");
    const filter = {
      name: "envoy.filters.network.direct_response",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config",
        response: { inline_string: "proxy 15006" },
      },
    };
    const address = { socket_address: { address: "0.0.0.0", port_value: 15_006 } };
    const listener = { name: "in", address, transparent: true, filter_chains: [{ filters: [filter] }] };
    writeFileSync(file, JSON.stringify({ static_resources: { listeners: [listener] } }));
    const envoy = pair.start(envoyBinary, [
      "-c",
      file,
      "--disable-hot-restart",
      "--concurrency",
      "1",
      "-l",
      "off",
    ]);
    await until("envoy listens", async () => (await pair.ask({ to: pod, port: 15_006 })) === "proxy 15006");
    return () => {
      envoy.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    };
  });
  afterAll(() => pair?.close());

  test("what comes in arrives with its own address and port", async () => {
    expect(await pair.ask({ from: "net", to: pod })).toBe("pod 80");
    const saved = await pair.apply([...injectorArguments, "-m", "TPROXY"]);
    expect(saved).toContain("-j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff");
    expect(await pair.run("ip", "rule", "show", "fwmark", "1337")).toContain("lookup 133");
    expect(await pair.run("ip", "route", "show", "table", "133")).toBe("local default dev lo scope host");
    expect(await pair.ask({ from: "net", to: pod })).toBe("proxy 15006");
    expect(await pair.ask({ from: "net", to: pod, port: 15_020 })).toBe("pod 15020");
    expect(await pair.ask({ to: net })).toBe("pod 15001");
    // The proxy to its own pod comes in again; the application, and what comes from 127.0.0.6, do not.
    expect(await pair.ask({ to: pod, uid: 1337, gid: 1337 })).toBe("proxy 15006");
    expect(await pair.ask({ to: pod, uid: 1000 })).toBe("pod 80");
    expect(await pair.ask({ to: pod, source: "127.0.0.6", uid: 1337, gid: 1337 })).toBe("pod 80");
  });

  test("only included ports", async () => {
    await pair.apply([...injectorArguments, "-m", "TPROXY", "-b", "80"]);
    expect(await pair.ask({ from: "net", to: pod })).toBe("proxy 15006");
    expect(await pair.ask({ from: "net", to: pod, port: 3306 })).toBe("pod 3306");
  });
});
