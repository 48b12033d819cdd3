/** A real Prometheus (Debian's package) that scrapes real sidecars, and a release that is judged by it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { istioQueries } from "../../analysis/checks/istio.ts";
import { createPrometheus } from "../../analysis/providers/prometheus.ts";
import { PodKind } from "../../api/core.ts";
import { type Canary, MetricTemplateKind } from "../../api/kinds.ts";
import * as manifests from "../../cli/demo/manifests.ts";
import { apply, readCanary, until } from "../../cli/demo/release.ts";
import type { World } from "../../cli/demo/world.ts";
import { envoyMissing } from "../support/envoy.ts";
import { prometheusMissing, type RunningPrometheus, startPrometheus } from "./support/prometheus.ts";
import { deployShop, untilPhase } from "./support/shop.ts";
import { cluster, openWorld } from "./support/world.ts";

/** As Flagger's documentation writes it. */
const notFound = `100 - sum(
    rate(
        istio_requests_total{
          reporter="destination",
          destination_workload_namespace="{{ namespace }}",
          destination_workload="{{ target }}",
          response_code!="404"
        }[{{ interval }}]
    )
)
/
sum(
    rate(
        istio_requests_total{
          reporter="destination",
          destination_workload_namespace="{{ namespace }}",
          destination_workload="{{ target }}"
        }[{{ interval }}]
    )
) * 100`;

type Checks = NonNullable<NonNullable<Canary["status"]>["checks"]>;

// It asks the control plane at the address of the embedded API, which a real API server has not.
describe.skipIf(prometheusMissing || envoyMissing !== undefined || cluster === "real")(
  "a real prometheus that scrapes real sidecars (needs `prometheus` on PATH, and Envoy)",
  () => {
    let prometheus: RunningPrometheus;
    let world: World;
    let watching: NodeJS.Timeout;

    beforeAll(async () => {
      [prometheus, world] = await Promise.all([startPrometheus(), openWorld()]);
      const { client } = world;
      watching = setInterval(() => {
        client.list(PodKind, { namespace: manifests.namespace }).then(
          ({ items }) => {
            const ips = items.flatMap(({ status }) => (status?.podIP ? [`${status.podIP}:15020`] : []));
            prometheus.scrape(ips, "/stats/prometheus");
          },
          () => undefined,
        );
      }, 500);
    });
    afterAll(async () => {
      clearInterval(watching);
      await world?.stop();
      await prometheus?.stop();
    });

    test("a release is checked by it and promoted: the built-in queries, and a template of Flagger's documentation", async () => {
      const { client } = world;
      const { address } = prometheus;
      const { spec, ...canary } = manifests.canary() as unknown as Canary;
      const metrics = [
        ...(spec.analysis?.metrics ?? []),
        {
          name: "not-found",
          templateRef: { name: "not-found" },
          interval: "10s",
          thresholdRange: { max: 5 },
        },
      ];
      const analysis = { ...spec.analysis, interval: "3s", stepWeight: 25, metrics };
      const written = { ...canary, spec: { ...spec, metricsServer: address, analysis } };
      const deployed = deployShop(client, written);
      await until("the namespace", 20, async () => {
        await client.create(MetricTemplateKind, {
          apiVersion: "flagger.app/v1beta1",
          kind: "MetricTemplate",
          metadata: { name: "not-found", namespace: manifests.namespace },
          spec: { provider: { type: "prometheus", address }, query: notFound },
        });
        return true;
      });
      await deployed;
      await apply(client, manifests.load(60, "/dev/null"));
      const asked = createPrometheus({ address });
      await until("traffic in prometheus", 30, async () => {
        const answer = await asked.query('sum(rate(istio_requests_total{reporter="destination"}[5s]))');
        return answer.kind === "value" && answer.value > 40 ? true : undefined;
      });
      await apply(client, manifests.shop("2"));
      const checks = await until("checks that passed", 60, async () => {
        const found = (await readCanary(client))?.status?.checks ?? [];
        return found.length === 3 && found.every(({ result }) => result === "passed") ? found : undefined;
      });
      const named = (name: string): Checks[number] | undefined => checks.find((check) => check.name === name);
      expect(named("request-success-rate")).toMatchObject({ value: 100, limit: ">= 99" });
      expect(named("request-success-rate")?.query).toContain('destination_workload=~"shop"');
      expect(named("request-duration")?.value).toBeLessThan(500);
      expect(named("not-found")).toMatchObject({ value: 0, limit: "<= 5" });
      expect(await untilPhase(client, ["Succeeded", "Failed"], 90)).toBe("Succeeded");
    });

    test("the control plane answers the same queries from its own reports nearly as it", async () => {
      const [own, theirs] = [
        createPrometheus({ address: `http://${new URL(world.ready.url).hostname}:15014` }),
        createPrometheus({ address: prometheus.address }),
      ];
      const filled = (query: string): string =>
        query
          .replaceAll("{{ namespace }}", manifests.namespace)
          .replaceAll("{{ target }}", "shop-primary")
          .replaceAll("{{ interval }}", "10s");
      const requests = filled(
        'sum(rate(istio_requests_total{reporter="destination",destination_workload="{{ target }}"}[{{ interval }}]))',
      );
      await until("steady traffic at the primary in both", 30, async () => {
        const [ours, prometheus] = await Promise.all([own.query(requests), theirs.query(requests)]);
        if (ours.kind !== "value" || prometheus.kind !== "value" || prometheus.value < 40) return undefined;
        return Math.abs(ours.value / prometheus.value - 1) < 0.15 ? true : undefined;
      });
      for (const query of [istioQueries["request-success-rate"], notFound]) {
        const [ours, prometheus] = await Promise.all([own.query(filled(query)), theirs.query(filled(query))]);
        expect(ours).toEqual(prometheus);
        expect(ours.kind).toBe("value");
      }
    });
  },
);
