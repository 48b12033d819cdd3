/** What users get wrong in routes and rules, and what goes on beside it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { UnreadObject } from "../../api/resource.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import {
  destinationRule,
  istioObject,
  startTraffic,
  type Traffic,
  virtualService,
} from "./support/traffic.ts";

const network = `127.${200 + (process.pid % 50)}`;

describe.skipIf(envoyMissing !== undefined)(
  "bad input is told by a condition that names the field, and all else goes on",
  () => {
    const good = virtualService("good", {
      hosts: ["two"],
      http: [{ directResponse: { status: 200, body: { string: "fine" } } }],
    });
    let world: Traffic;

    beforeAll(async () => {
      world = await startTraffic(network);
      for (const name of ["one", "two", "other"]) {
        await world.pod(name, name);
        await world.service(name);
      }
      await world.apply(good);
    });
    afterAll(async () => {
      await world.stop();
    });

    const toOne = { route: [{ destination: { host: "one" } }] };
    const two = [{ destination: { host: "one" } }, { destination: { host: "two" } }];
    const cases: readonly (readonly [what: string, said: string, ...objects: readonly UnreadObject[]])[] = [
      [
        "overlapping hosts",
        "/spec/hosts/0: `two.demo.svc.cluster.local` is claimed by VirtualService `demo/good`, which is older and counts",
        virtualService("bad", { hosts: ["two"], http: [toOne] }),
      ],
      [
        "an unknown subset",
        "/spec/http/0/route/0/destination/subset: no DestinationRule for `one.demo.svc.cluster.local` has a subset `v9`",
        virtualService("bad", {
          hosts: ["one"],
          http: [{ route: [{ destination: { host: "one", subset: "v9" } }] }],
        }),
      ],
      [
        "weights that do not sum to 100",
        "/spec/http/0/route: weights sum to 70, not 100: each is taken as its share of the sum",
        virtualService("bad", {
          hosts: ["one"],
          http: [
            {
              route: [
                { ...two[0], weight: 30 },
                { ...two[1], weight: 40 },
              ],
            },
          ],
        }),
      ],
      [
        "a regular expression that RE2 refuses",
        "/spec/http/0/match/0/uri/regex: `(?=x)` is not a regular expression in RE2 syntax",
        virtualService("bad", {
          hosts: ["one"],
          http: [{ match: [{ uri: { regex: "(?=x)" } }], ...toOne }, toOne],
        }),
      ],
      [
        "delegates in a circle",
        "/spec/http/0/delegate: goes in a circle, demo/bad → demo/circle → demo/circle, so this route is left out",
        virtualService("bad", {
          hosts: ["one"],
          http: [{ match: [{ uri: { prefix: "/x" } }], delegate: { name: "circle" } }, toOne],
        }),
        virtualService("circle", { http: [{ delegate: { name: "circle" } }] }),
      ],
      [
        "an invalid certificate in a Secret",
        "/spec/trafficPolicy/tls/credentialName: Secret `demo/broken` has a certificate that is no PEM certificate",
        destinationRule("bad", {
          host: "other",
          workloadSelector: { matchLabels: { app: "caller" } },
          trafficPolicy: { tls: { mode: "MUTUAL", credentialName: "broken" } },
        }),
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: "broken" },
          type: "kubernetes.io/tls",
          data: { "tls.crt": btoa("no certificate"), "tls.key": btoa("no key"), "ca.crt": btoa("no roots") },
        },
      ],
      [
        "a Gateway's server of a protocol that nobody speaks",
        "/spec/servers/0/port/protocol: `SMTP` is none of HTTP, HTTP2, GRPC, GRPC-WEB, HTTP_PROXY, HTTPS, TLS, TCP, MONGO, MYSQL, REDIS; the server is left out",
        istioObject("networking", "Gateway", "bad", {
          selector: { istio: "ingressgateway" },
          servers: [{ port: { number: 25, name: "mail", protocol: "SMTP" }, hosts: ["*"] }],
        }),
      ],
      [
        "a ServiceEntry without endpoints",
        "/spec/endpoints: STATIC needs endpoints or a workloadSelector: requests are answered with 503",
        istioObject("networking", "ServiceEntry", "bad", {
          hosts: ["nowhere.example"],
          ports: [{ number: 80, name: "http", protocol: "HTTP" }],
          resolution: "STATIC",
        }),
      ],
      [
        "a WorkloadEntry whose address only DNS knows, for a ServiceEntry that asks no DNS",
        "/spec/address: `machine.example` is no IP address, which resolution STATIC of `machines.example` needs: it is left out there",
        istioObject("networking", "WorkloadEntry", "bad", {
          address: "machine.example",
          labels: { app: "machine" },
        }),
        istioObject("networking", "ServiceEntry", "machines", {
          hosts: ["machines.example"],
          ports: [{ number: 80, name: "http", protocol: "HTTP" }],
          resolution: "STATIC",
          workloadSelector: { labels: { app: "machine" } },
        }),
      ],
      [
        "a Sidecar's host without a namespace",
        "/spec/egress/0/hosts/0: `one` is not of the form namespace/host",
        istioObject("networking", "Sidecar", "bad", {
          workloadSelector: { labels: { app: "another" } },
          egress: [{ hosts: ["one"] }],
        }),
      ],
      [
        "a Telemetry of a provider that does not exist",
        "/spec/tracing/0/providers/0/name: ConfigMap `istio` has no provider `nobody` of this sort in extensionProviders",
        istioObject("telemetry", "Telemetry", "bad", { tracing: [{ providers: [{ name: "nobody" }] }] }),
      ],
    ];

    test.for(cases)("%s", async ([, said, ...objects]) => {
      await world.apply(...objects);
      const [bad] = objects;
      const condition = await until("the condition is written", () =>
        world.conditions(String(bad?.kind), "bad").find(({ type }) => type === "Accepted"),
      );
      expect(condition).toMatchObject({ status: "False", message: said });
      expect(world.conditions("VirtualService", "good").find(({ type }) => type === "Accepted")?.status).toBe(
        "True",
      );
      expect(await world.ask("two")).toMatchObject({ status: 200, body: "fine" });
      // What can be carried out of the bad one is; the rest of the mesh knows nothing of it.
      expect((await world.ask("one")).status).toBe(
        bad?.kind === "VirtualService" && said.includes("subset") ? 503 : 200,
      );
      await world.remove(...objects);
    });

    test("a Gateway says how many of its proxies hold it", async () => {
      const edge = istioObject("networking", "Gateway", "edge", {
        selector: { istio: "ingressgateway" },
        servers: [{ port: { number: 8080, name: "http", protocol: "HTTP" }, hosts: ["*"] }],
      });
      await world.apply(edge);
      const programmed = () => world.conditions("Gateway", "edge").find(({ type }) => type === "Programmed");
      await until("nobody serves it", () => programmed()?.reason === "NoProxies");
      await world.gateway({ istio: "ingressgateway" });
      await until("its proxy holds it", () => programmed()?.message === "Programmed 1/1");
      expect(programmed()?.status).toBe("True");
      await world.remove(edge);
    });

    test("a VirtualService of 5,000 routes is served whole", async () => {
      const http = Array.from({ length: 5000 }, (_, index) => ({
        match: [{ uri: { exact: `/item/${index}` }, headers: { "x-kind": { exact: `kind-${index % 7}` } } }],
        directResponse: { status: 200, body: { string: String(index) } },
      }));
      const large = virtualService("large", { hosts: ["one"], http: [...http, toOne] });
      await world.apply(large);
      const ask = (index: number) =>
        world.ask("one", { path: `/item/${index}`, headers: { "x-kind": `kind-${index % 7}` } });
      expect((await ask(0)).body).toBe("0");
      expect((await ask(4999)).body).toBe("4999");
      expect((await world.ask("one", { path: "/item/5000" })).body).toBe("one");
      expect((await world.ask("two")).body).toBe("fine");
      await until("its condition says that it is held", () =>
        world
          .conditions("VirtualService", "large")
          .some(({ type, status }) => type === "Programmed" && status === "True"),
      );
      await world.remove(large);
    });
  },
);
