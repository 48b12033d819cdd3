/** A Gateway object on a whole control plane: its proxy is deployed, routes attach, statuses say so, requests reach meshed pods. */
import { get } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeploymentKind, PodKind, ServiceKind } from "../../api/core.ts";
import { GatewayClassKind, GatewayKind, HTTPRouteKind } from "../../api/kinds.ts";
import type { Condition, Kind, UnreadObject } from "../../api/resource.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import { apply, until } from "../../cli/demo/release.ts";
import type { World } from "../../cli/demo/world.ts";
import { envoyMissing } from "../support/envoy.ts";
import { openWorld } from "./support/world.ts";

const { namespace } = manifests;
const group = "gateway.networking.k8s.io";

const service: UnreadObject = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "shop", namespace },
  spec: { selector: { app: "shop" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
};

const gateway: UnreadObject = {
  apiVersion: `${group}/v1`,
  kind: "Gateway",
  metadata: { name: "edge", namespace },
  spec: {
    gatewayClassName: "fairlead",
    infrastructure: { labels: { team: "edge" } },
    listeners: [{ name: "http", port: 8088, protocol: "HTTP" }],
  },
};

const routeWith = (...filters: object[]): UnreadObject => ({
  apiVersion: `${group}/v1`,
  kind: "HTTPRoute",
  metadata: { name: "shop", namespace },
  spec: {
    parentRefs: [{ name: "edge" }],
    hostnames: ["shop.example.com"],
    rules: [{ backendRefs: [{ name: "shop", port: 80, ...(filters.length > 0 && { filters }) }] }],
  },
});

function status(address: string, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host: address, port: 8088, headers: { host }, agent: false, timeout: 2_000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on("error", reject);
  });
}

const said = (conditions: readonly Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type);

describe.skipIf(envoyMissing !== undefined)("a Gateway object", () => {
  let world: World;
  const put = (kind: Kind, object: UnreadObject) =>
    world.client.patch(kind, namespace, object.metadata.name, { kind: "apply", body: object, force: true });

  beforeAll(async () => {
    world = await openWorld();
    await apply(world.client, manifests.namespaceManifest(), manifests.serviceAccount("shop"));
    await apply(world.client, manifests.shop("1"));
    await put(ServiceKind, service);
    await put(GatewayKind, gateway);
    await put(HTTPRouteKind, routeWith());
  }, 60_000);
  afterAll(() => world?.stop());

  test("deploys its proxy, says where it is, and serves meshed pods; it takes all of it along when it goes", async () => {
    const { client } = world;
    const ready = await until("the Gateway is programmed", 60, async () => {
      const stored = await client.get(GatewayKind, namespace, "edge");
      return said(stored?.status?.conditions as Condition[], "Programmed")?.status === "True"
        ? stored
        : undefined;
    });
    expect(said(ready.status?.conditions as Condition[], "Accepted")?.reason).toBe("Accepted");
    expect(said(ready.status?.conditions as Condition[], "Programmed")?.message).toBe("Programmed 1/1");
    const [listener] = ready.status?.listeners ?? [];
    expect(listener).toMatchObject({ name: "http", attachedRoutes: 1 });
    const address = ready.status?.addresses?.[0]?.value ?? "";
    await until("the shop answers", 30, async () =>
      (await status(address, "shop.example.com").catch(() => 0)) === 200 ? true : undefined,
    );
    expect(await status(address, "nobody.example.com")).toBe(404);

    const stored = await client.get(HTTPRouteKind, namespace, "shop");
    expect(stored?.status?.parents).toMatchObject([
      { controllerName: "fairlead.dev/gateway", parentRef: { name: "edge" } },
    ]);
    const mirror = { type: "RequestMirror", requestMirror: { backendRef: { name: "shop", port: 80 } } };
    const partlyInvalid = async () =>
      said(
        (await client.get(HTTPRouteKind, namespace, "shop"))?.status?.parents?.[0]?.conditions as Condition[],
        "PartiallyInvalid",
      );
    await put(HTTPRouteKind, routeWith(mirror));
    const refused = await until("what is not carried out is told", 30, partlyInvalid);
    expect(refused.message).toContain("rules[0].backendRefs[0].filters[0]: `RequestMirror`");
    await put(HTTPRouteKind, routeWith());
    await until("the condition passes", 30, async () => (await partlyInvalid()) === undefined || undefined);

    const gatewayClass = await client.get(GatewayClassKind, undefined, "fairlead");
    expect(gatewayClass?.status).toMatchObject({
      conditions: [expect.objectContaining({ type: "Accepted", status: "True" })],
    });
    const { items } = await client.list(PodKind, { namespace, labelSelector: `${group}/gateway-name=edge` });
    expect(items[0]?.metadata.labels).toMatchObject({ team: "edge" });

    await client.delete(GatewayKind, namespace, "edge", { propagationPolicy: "Background" });
    // A real garbage collector looks for new kinds every 30 s, and only then minds their owners.
    await until("nothing is left of it", 100, async () => {
      const left = await Promise.all([
        client.get(DeploymentKind, namespace, "edge-fairlead"),
        client.get(ServiceKind, namespace, "edge-fairlead"),
      ]);
      return left.every((one) => one === undefined) ? true : undefined;
    });
  }, 200_000);
});
