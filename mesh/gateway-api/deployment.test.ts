/** What is deployed for the Gateways of a golden: `CASE.in.yaml` → `CASE.objects.yaml`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { GatewayKind } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/resource.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { gatewayObjects } from "./deployment.ts";

const golden = join(import.meta.dirname, "../testdata/gateway-api-listeners");

test("a Gateway's proxy, its account and its Service, with the labels and annotations of its infrastructure", async () => {
  const [, ...objects] = parseAllDocuments(readFileSync(`${golden}.in.yaml`, "utf8")).map(
    (document): unknown => document.toJS(),
  );
  const gateway = snapshotOf(objects as KubeObject[]).get(GatewayKind, "demo", "edge");
  const deployed =
    gateway &&
    gatewayObjects(gateway, {
      image: "fairlead/proxy:1",
      imagePullSecrets: ["registry"],
      discoveryAddress: "fairlead.fairlead-system.svc:15012",
      trustDomain: "cluster.local",
      clusterId: "Kubernetes",
      meshId: "cluster.local",
      interception: "REDIRECT",
      lowPorts: false,
    });
  await expect(stringify(deployed, { aliasDuplicateObjects: false, lineWidth: 0 })).toMatchFileSnapshot(
    `${golden}.objects.yaml`,
  );
});
