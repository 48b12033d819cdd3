/** A shield of gRPC calls: which failures are rescued, at a real Envoy. */
import {
  Client,
  credentials,
  Server as GrpcServer,
  Metadata,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyMissing } from "../support/envoy.ts";
import { route } from "./support/shielded.ts";
import { hear, talk } from "./support/talk.ts";
import { startTraffic, type Traffic } from "./support/traffic.ts";

describe.skipIf(envoyMissing !== undefined)(
  "a shield of gRPC calls whose author says they may be repeated",
  () => {
    let world: Traffic;
    const servers: GrpcServer[] = [];
    let ofCanary: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => void;
    let arrived = 0;

    beforeAll(async () => {
      world = await startTraffic(`127.${40 + (process.pid % 50)}`);
      for (const app of ["shop-primary", "shop-canary"]) {
        const ip = await world.pod(app, `${app}-1`, { serves: false });
        const server = new GrpcServer();
        server.addService(talk, {
          Say: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
            if (app === "shop-primary") return answer(null, Buffer.from("primary"));
            arrived += 1;
            ofCanary(call, answer);
          },
        });
        await new Promise<void>((resolve, reject) =>
          server.bindAsync(`${ip}:8080`, ServerCredentials.createInsecure(), (error) =>
            error ? reject(error) : resolve(),
          ),
        );
        servers.push(server);
      }
      for (const service of ["shop", "shop-primary", "shop-canary"])
        await world.service(service, { name: "grpc", port: 80, targetPort: 8080 });
      await world.apply(route(100, { shield: { methods: ["POST"], hangAfter: 1000 } }));
    });
    afterAll(async () => {
      for (const server of servers) server.forceShutdown();
      await world?.stop();
    });

    function say(): Promise<string> {
      const client = new Client(`${world.caller}:${world.proxyPort}`, credentials.createInsecure(), {
        "grpc.default_authority": "shop:80",
      });
      return hear(client).finally(() => client.close());
    }

    test.each([
      ["is answered by the canary where it is well", undefined, "canary"],
      ["is rescued from status 14, unavailable", status.UNAVAILABLE, "primary"],
      ["is rescued from status 4, deadline exceeded", status.DEADLINE_EXCEEDED, "primary"],
      ["is rescued from status 13, internal", status.INTERNAL, "primary"],
      ["is rescued from status 8, resource exhausted", status.RESOURCE_EXHAUSTED, "primary"],
      // No condition of Envoy's names it.
      ["keeps status 2, unknown", status.UNKNOWN, "status 2"],
    ] as const)("%s", async (_, code, heard) => {
      ofCanary = (_call, answer) =>
        code === undefined ? answer(null, Buffer.from("canary")) : answer({ code, details: "by the test" });
      const before = arrived;
      expect(await say()).toBe(heard);
      expect(arrived).toBe(before + 1);
    });

    test("is rescued from a call that hangs, and not from a failure after the answer has begun", async () => {
      ofCanary = () => {};
      expect(await say()).toBe("primary");
      ofCanary = (call, answer) => {
        call.sendMetadata(new Metadata());
        setTimeout(() => answer({ code: status.UNAVAILABLE, details: "too late" }), 20);
      };
      expect(await say()).toBe("status 14");
    });
  },
);
