import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { RouteConfigurationSchema } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import {
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "../../envoy/generated/envoy/service/discovery/v3/discovery_pb.js";
import { systemClock } from "../../lib/clock.ts";
import { encodeResource, type ResourceType, typeUrls } from "../build/resource.ts";
import { resourceSet } from "../build/resource-set.ts";
import { emptyView, type View } from "../build/view.ts";
import { createNameSets } from "./name-sets.ts";
import { createResponses } from "./response.ts";
import { createStateStream, readStateRequest } from "./state-of-the-world.ts";

function viewOf(clusters: readonly string[], routes: readonly string[]): View {
  const route = [
    resourceSet(
      routes.map((name) =>
        encodeResource("route", name, RouteConfigurationSchema, create(RouteConfigurationSchema, { name })),
      ),
    ),
  ];
  const cluster = [
    resourceSet(
      clusters.map((name) => encodeResource("cluster", name, ClusterSchema, create(ClusterSchema, { name }))),
    ),
  ];
  return { ...emptyView, plainRoutes: route, resources: { ...emptyView.resources, cluster, route } };
}

function open(view: View) {
  const answers: DiscoveryResponse[] = [];
  const stream = createStateStream(view, {
    responses: createResponses(),
    nameSets: createNameSets(),
    clock: systemClock,
    isOpen: () => true,
    write: (bytes) => void answers.push(fromBinary(DiscoveryResponseSchema, bytes)),
    onAcknowledged() {},
    onRejected() {},
    removalDelay: 0,
  });
  const send = (type: ResourceType, resourceNames: string[] = [], responseNonce = "") => {
    const message = create(DiscoveryRequestSchema, { typeUrl: typeUrls[type], resourceNames, responseNonce });
    stream.request(type, readStateRequest(toBinary(DiscoveryRequestSchema, message)));
  };
  return { stream, send, answers, last: () => answers.at(-1)?.resources.length };
}

test("an answer about clusters has all of them, one about routes what has changed", () => {
  const { stream, send, answers, last } = open(viewOf(["a", "b"], ["80", "81"]));
  send("cluster");
  expect(last()).toBe(2);
  send("cluster", [], answers.at(-1)?.nonce);
  send("route", ["80"]);
  expect(last()).toBe(1);
  send("route", ["80"], answers.at(-1)?.nonce);
  expect(stream.holds("cluster", "route")).toBe(true);
  stream.publish(viewOf(["a", "b", "c"], ["80", "81"]));
  expect(answers.at(-1)?.typeUrl).toBe(typeUrls.cluster);
  expect(last()).toBe(3);
  expect(stream.holds("cluster")).toBe(false);
});

test("a name that is asked for later is answered, an ACK of an older answer is not one of the newer", () => {
  const { stream, send, answers, last } = open(viewOf([], ["80", "81"]));
  send("route", ["80"]);
  const first = answers.at(-1)?.nonce;
  send("route", ["80", "81"], first);
  expect(last()).toBe(1);
  expect(answers).toHaveLength(2);
  send("route", ["80", "81"], first);
  expect(answers).toHaveLength(2);
  send("route", ["80", "81"], answers.at(-1)?.nonce);
  expect(stream.holds("route")).toBe(true);
});
