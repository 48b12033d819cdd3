/** Sidecars: listeners by port and address, the ports on which a pod is reached, and limits for the application behind them. */
import { createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { istioObject, startTraffic, type Traffic } from "./support/traffic.ts";

const network = `127.${150 + (process.pid % 50)}`;
const outbound = `${network}.0.5`;
const inbound = `${network}.0.6`;
const port = { name: "http", port: 9080, targetPort: 8080 };

describe.skipIf(envoyMissing !== undefined)("a pod's Sidecar", () => {
  let world: Traffic;
  let application: Server;
  let waiting: (() => void)[] = [];

  /** Status and body of an answer at an address. */
  function ask(address: string, at: number, host: string, path = "/"): Promise<string> {
    return new Promise((resolve, reject) => {
      const target = { host: address, port: at, path, agent: false, timeout: 5_000, headers: { host } };
      get(target, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on("end", () => resolve(`${response.statusCode} ${body}`));
      }).on("error", reject);
    });
  }

  beforeAll(async () => {
    world = await startTraffic(network);
    for (const name of ["one", "two"]) {
      await world.pod(name, name);
      await world.service(name, port);
    }
    application = createServer(({ url }, response) => {
      if (url === "/wait") waiting.push(() => response.end("waited"));
      else response.end("application");
    });
    await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
    const { port: own } = application.address() as AddressInfo;
    await world.apply(
      istioObject("networking", "Sidecar", "caller", {
        workloadSelector: { labels: { app: "caller" } },
        outboundTrafficPolicy: { mode: "REGISTRY_ONLY" },
        ingress: [
          {
            port: { number: 8088, name: "http", protocol: "HTTP" },
            bind: inbound,
            defaultEndpoint: `127.0.0.1:${own}`,
          },
        ],
        inboundConnectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } },
        egress: [
          {
            port: { number: 9080, name: "http", protocol: "HTTP" },
            bind: outbound,
            captureMode: "NONE",
            hosts: ["./one.demo.svc.cluster.local"],
          },
          { hosts: ["./*"] },
        ],
      }),
    );
    await until("the listeners are bound", () => ask(inbound, 8088, "me").catch(() => false));
  });
  afterAll(async () => {
    application.closeAllConnections();
    application.close();
    await world.stop();
  });

  test("a port of `egress` is bound at its address and knows its hosts alone", async () => {
    expect(await ask(outbound, 9080, "one")).toBe("200 one");
    expect(await ask(outbound, 9080, "two")).toMatch(/^502/);
    // The other listeners know no host on the port that this one has named.
    expect((await world.ask("two:9080")).status).toBe(502);
    expect((await world.ask("one:9080")).body).toBe("one");
  });

  test("a port of `ingress` leads to where the application listens", async () => {
    expect(await ask(inbound, 8088, "whoever")).toBe("200 application");
  });

  test("`inboundConnectionPool` limits what reaches the application at once", async () => {
    const asked = Array.from({ length: 4 }, () => ask(inbound, 8088, "me", "/wait"));
    // One is under way and one waits for its connection: the other two are turned away.
    await until("one request is at the application", () => waiting.length > 0);
    const first = await Promise.race(asked);
    expect(first).toMatch(/^503/);
    const answers = Promise.all(asked);
    const letGo = setInterval(() => {
      for (const answer of waiting) answer();
      waiting = [];
    }, 10);
    const statuses = (await answers).map((answer) => answer.slice(0, 3)).sort();
    clearInterval(letGo);
    expect(statuses).toEqual(["200", "200", "503", "503"]);
  });
});
