import { connect } from "node:net";
import type { ProbeResult } from "./result.ts";

/** Passes when a connection opens within `timeout` milliseconds. */
export function probeTcp(host: string, port: number, timeout: number): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const socket = connect({ host, port, timeout });
  const end = (passed: boolean, message: string) => {
    socket.destroy();
    resolve({ passed, message });
  };
  socket.once("connect", () => end(true, ""));
  socket.once("timeout", () => end(false, `dial tcp ${host}:${port}: i/o timeout`));
  socket.once("error", ({ message }) => end(false, message));
  return promise;
}
