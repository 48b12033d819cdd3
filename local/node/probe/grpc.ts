import type { ProbeResult } from "./result.ts";

/** HealthCheckResponse.SERVING as the first field of the message. */
const serving = Buffer.from([0x08, 0x01]);

/**
 * Asks grpc.health.v1.Health/Check; passes on SERVING.
 *
 * Both messages are one short field, so they are written by hand: `service` is field 1, a string under 128 bytes.
 */
export async function probeGrpc(
  host: string,
  port: number,
  service: string,
  timeout: number,
): Promise<ProbeResult> {
  // Loaded late: few pods have such a probe.
  const { Client, credentials } = await import("@grpc/grpc-js");
  const name = Buffer.from(service).subarray(0, 127);
  const request =
    name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const client = new Client(`${host}:${port}`, credentials.createInsecure());
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  client.makeUnaryRequest(
    "/grpc.health.v1.Health/Check",
    (message: Buffer) => message,
    (message: Buffer) => message,
    request,
    { deadline: Date.now() + timeout },
    (error, answer) => {
      client.close();
      const passed = !error && answer?.subarray(0, 2).equals(serving) === true;
      resolve({ passed, message: error?.message ?? "service is not SERVING" });
    },
  );
  return promise;
}
