/**
 * The limit for real Envoys: as many of them, each with a listener, a route and two clusters, on a server that writes one
 * runtime resource to every stream and does nothing else.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { NodeSchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import { type ResourceType, resourceTypes, typeUrls } from "../../mesh/build/resource.ts";
import type { View } from "../../mesh/build/view.ts";
import { adsDefinition } from "../../mesh/xds/definition.ts";
import { readDeltaRequest } from "../../mesh/xds/request.ts";
import { createResponses } from "../../mesh/xds/response.ts";
import { serveGrpc } from "../../mesh/xds/serve.ts";
import { freePort, startEnvoy } from "../../test/support/envoy.ts";
import { createAsker } from "../asker.ts";
import { rawBootstrap, rawResources } from "../rollback/raw-proxy.ts";
import { flipAll } from "./flip.ts";
import { route } from "./objects.ts";

/** Starts `count` Envoys and flips their weight `rounds` times: milliseconds until the last answered with the other version. */
export async function flipBareEnvoys(
  count: number,
  rounds: number,
  arms: { readonly primary: number; readonly canary: number },
): Promise<number[]> {
  const ports: number[] = [];
  const views: ((canaryWeight: number) => View)[] = [];
  const responses = createResponses();
  const streams = new Set<ServerDuplexStream<Buffer, Buffer>>();
  const bytesOf = (view: View, type: ResourceType) =>
    responses.delta(
      type,
      view.resources[type].flatMap((set) => [...set.values()]),
      [],
    ).bytes;

  function answer(call: ServerDuplexStream<Buffer, Buffer>): void {
    streams.add(call);
    let view: View | undefined;
    call.on("data", (bytes: Buffer) => {
      const { node, nonce, typeUrl } = readDeltaRequest(bytes);
      if (node !== undefined) view = views[Number(fromBinary(NodeSchema, node).id)]?.(0);
      const type = resourceTypes.find((candidate) => typeUrls[candidate] === typeUrl);
      if (nonce === "" && type !== undefined && view !== undefined) call.write(bytesOf(view, type));
    });
    for (const event of ["end", "cancelled", "error", "close"]) call.on(event, () => streams.delete(call));
  }

  const server = await serveGrpc({
    plaintext: { host: "127.0.0.1", port: 0 },
    services: [
      {
        definition: adsDefinition,
        implementation: {
          DeltaAggregatedResources: answer,
          StreamAggregatedResources: (call: ServerDuplexStream<Buffer, Buffer>) =>
            call.emit("error", { code: status.UNIMPLEMENTED, details: "only delta" }),
        },
      },
    ],
  });
  const envoys: Awaited<ReturnType<typeof startEnvoy>>[] = [];
  const askers: ReturnType<typeof createAsker>[] = [];
  try {
    for (let index = 0; index < count; index++) {
      // Taken by this Envoy before the next one looks for a free one.
      const egress = await freePort();
      ports.push(egress);
      views.push(rawResources({ egress, ...arms }, []));
      const bootstrap = rawBootstrap(server.ports.plaintext ?? 0);
      envoys.push(await startEnvoy({ ...bootstrap, node: { id: String(index), cluster: "bare" } }));
    }
    const change = async (weight: 0 | 100) => {
      const view = views[0]?.(weight);
      if (view === undefined) return;
      const bytes = bytesOf(view, "runtime");
      for (const stream of streams) stream.write(bytes);
    };
    askers.push(...ports.map((port) => createAsker({ host: "127.0.0.1", port }, route)));
    // The first flip only waits for everyone to serve.
    await flipAll(askers, { rounds: 2, change });
    return await flipAll(askers, { rounds, change });
  } finally {
    for (const asker of askers) asker.close();
    for (const envoy of envoys) await envoy.stop();
    server.close();
  }
}
