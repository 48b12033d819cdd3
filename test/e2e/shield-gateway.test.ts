/** A shield where its share stands in the route table: at proxies without our runtime layer, and at gateways. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { UnreadObject } from "../../api/resource.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { route, split } from "./support/shielded.ts";
import { istioObject, many, startTraffic, type Traffic } from "./support/traffic.ts";

describe.skipIf(envoyMissing !== undefined)(
  "a shield at a proxy without our runtime layer, and at a gateway",
  () => {
    let world: Traffic;
    let atCanary = 0;
    beforeAll(async () => {
      world = await startTraffic(`127.${150 + (process.pid % 50)}`, {}, "NONE", "demo", { layer: false });
      const fails = (_: IncomingMessage, response: ServerResponse) => {
        atCanary += 1;
        response.writeHead(500).end();
      };
      await world.pod("shop-primary", "primary-1");
      await world.pod("shop-canary", "canary-1", { answering: fails });
      for (const service of ["shop", "shop-primary", "shop-canary"]) await world.service(service);
    });
    afterAll(() => world?.stop());

    test("has its share in the table", async () => {
      for (const [weight, least, most] of [
        [30, 24, 36],
        [0, 0, 0],
      ] as const) {
        await world.apply(route(weight));
        const gets = await many(1000, () => world.ask("shop"));
        expect(gets.every(({ status }) => status === 200)).toBe(true);
        const posts = await many(1000, () => world.ask("shop", { method: "POST" }));
        const failed = posts.filter(({ status }) => status === 500).length / 10;
        expect(failed).toBeGreaterThanOrEqual(least);
        expect(failed).toBeLessThanOrEqual(most);
      }
    });

    test("stands at gateways as well: behind a VirtualService, and behind an HTTPRoute", async () => {
      const name = "gateway.networking.k8s.io/gateway-name";
      const ip = await world.gateway({ app: "edge", [name]: "rim" });
      const edge = { port: { number: 8080, name: "http", protocol: "HTTP" }, hosts: ["*"] };
      const gateway = istioObject("networking", "Gateway", "edge", {
        selector: { app: "edge" },
        servers: [edge],
      });
      const virtual = route(50, { gateways: ["edge"] });
      const gatewayApi = { apiVersion: "gateway.networking.k8s.io/v1", metadata: { name: "rim" } };
      const backends = split(50).map(({ destination, weight }) => ({
        name: destination.host,
        port: 80,
        weight,
      }));
      const objects: UnreadObject[] = [
        {
          ...gatewayApi,
          kind: "GatewayClass",
          metadata: { name: "fairlead" },
          spec: { controllerName: "fairlead.dev/gateway" },
        },
        {
          ...gatewayApi,
          kind: "Gateway",
          spec: { gatewayClassName: "fairlead", listeners: [{ name: "http", port: 8081, protocol: "HTTP" }] },
        },
        {
          ...gatewayApi,
          kind: "HTTPRoute",
          metadata: { name: "shop", annotations: virtual.metadata.annotations ?? {} },
          spec: { parentRefs: [{ name: "rim" }], rules: [{ backendRefs: backends }] },
        },
      ];
      await world.apply(gateway, virtual, ...objects);
      for (const port of [8080, 8081]) {
        const ask = async (method: string) => (await fetch(`http://${ip}:${port}/`, { method })).status;
        await until(`the gateway serves ${port}`, async () => (await ask("GET").catch(() => 0)) === 200);
        const before = atCanary;
        const answers = await Promise.all(Array.from({ length: 100 }, () => ask("GET")));
        expect(answers.every((status) => status === 200)).toBe(true);
        expect(atCanary - before).toBeGreaterThan(25);
        expect(await Promise.all(Array.from({ length: 100 }, () => ask("POST")))).toContain(500);
      }
    });
  },
);
