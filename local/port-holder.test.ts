import { createServer } from "node:net";
import { expect, test } from "vitest";
import { portProblem } from "./subnet.ts";

test.for([
  ["127.200.3.4", "or name another data folder (`--data`)"],
  ["0.0.0.0", undefined],
] as const)("a port held on %s is told with its process, and what helps", async ([held, otherWay]) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, held, resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const problem = await portProblem("127.200.3.4", port);
  await new Promise((resolve) => server.close(resolve));
  const stop = `127.200.3.4:${port} is in use by process ${process.pid} (`;
  expect(problem?.slice(0, stop.length)).toBe(stop);
  expect(problem?.includes("or name another data folder")).toBe(otherWay !== undefined);
  expect(await portProblem("127.200.3.4", port)).toBeUndefined();
});
