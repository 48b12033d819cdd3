import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const program = join(import.meta.dirname, "..", "bin", "fairlead.js");
let folder = "";

const manifests = `
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: demo}
spec: {clusterIP: 10.96.0.10, selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: demo}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: web}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: demo}
spec:
  hosts: [shop]
  http:
    - name: cart
      match: [{uri: {prefix: /cart}, headers: {x-user: {exact: ann}}}]
      timeout: 2s
      rewrite: {uri: /basket}
      route: [{destination: {host: shop}}]
    - name: rest
      redirect: {authority: elsewhere}
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fairlead-mesh-"));
  writeFileSync(join(folder, "all.yaml"), manifests);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...words: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

test("explain route says by which route a request goes, and why not by the others", async () => {
  const words = ["explain", "route", "-f", folder, "--from", "demo/web", "-o", "json", "--to"];
  const [cart, rest] = await Promise.all([
    run(...words, "http://shop/cart/1?x=2", "-H", "x-user: ann"),
    run(...words, "http://shop/cart"),
  ]);
  expect(JSON.parse(cart.out)).toMatchObject({
    listener: "0.0.0.0_80",
    routeConfig: "80",
    virtualHost: "shop.demo.svc.cluster.local:80",
    route: "cart",
    cluster: "outbound|80||shop.demo.svc.cluster.local",
    timeout: 2000,
    rewrite: { authority: "shop", path: "/basket/1?x=2" },
  });
  const explained: { reason: string; redirect: object } = JSON.parse(rest.out);
  expect(explained.redirect).toEqual({ status: 301, location: "http://elsewhere/cart" });
  expect(explained.reason).toContain("cart: header `x-user` does not fit");
});

test("mesh render prints what a proxy would be sent; an unknown workload is wrong use", async () => {
  const render = ["mesh", "render", "-f", folder, "--proxy"];
  const [node, nobody] = await Promise.all([
    run(...render, "sidecar~10.1.0.2~web-1.demo~demo.svc.cluster.local", "-o", "json"),
    run(...render, "demo/nobody"),
  ]);
  const resources: Record<string, { name: string }[]> = JSON.parse(node.out);
  expect(Object.keys(resources)).toEqual(["runtime", "cluster", "endpoint", "listener", "route", "secret"]);
  expect(resources.route?.map(({ name }) => name)).toEqual(["80"]);
  expect(resources.listener?.map(({ name }) => name)).toContain("virtualOutbound");
  expect(nobody).toMatchObject({ code: 2, err: expect.stringContaining("there are `deployment/web`") });
});
