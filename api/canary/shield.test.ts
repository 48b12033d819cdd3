import { expect, test } from "vitest";
import { analysed, canary } from "../testdata/canary.ts";
import { readCanary } from "./read.ts";

test("a shield has the safe methods and 300 ms, and is off where nobody asks for it", () => {
  const shielded = readCanary(analysed({ stepWeight: 5, shield: {} }));
  expect(shielded.problems).toEqual([]);
  expect(shielded.value?.analysis.shield).toEqual({ methods: ["GET", "HEAD", "OPTIONS"], hangAfter: 300 });
  expect(readCanary(analysed({ stepWeight: 5 })).value?.analysis.shield).toBeUndefined();
});

test("a method that is not safe may be named, with a word of warning", () => {
  const { value, problems } = readCanary(
    analysed({ stepWeight: 5, shield: { methods: ["GET", "POST", "GET"], hangAfter: "1.5s" } }),
  );
  expect(value?.analysis.shield).toEqual({ methods: ["GET", "POST"], hangAfter: 1500 });
  expect(problems).toMatchObject([
    {
      severity: "warning",
      field: "/spec/analysis/shield/methods/1",
      message: "is `POST`: such a request may reach both versions, so it must be idempotent",
    },
  ]);
});

test("a shield of gRPC that covers no call is warned about", () => {
  const service = { port: 80, portName: "grpc" };
  const shielded = (methods: readonly string[]) =>
    readCanary(
      canary({ service }, { interval: "10s", threshold: 5, stepWeight: 5, shield: { methods } }),
    ).problems.map(({ severity, field }) => [severity, field]);
  expect(shielded(["GET"])).toEqual([["warning", "/spec/analysis/shield"]]);
  expect(shielded(["POST"])).toEqual([["warning", "/spec/analysis/shield/methods/0"]]);
});

test("a wait under half the route's timeout will do; a timeout of 0 is none", () => {
  const shield = { interval: "10s", threshold: 5, stepWeight: 5, shield: { hangAfter: "499ms" } };
  expect(readCanary(canary({ service: { port: 80, timeout: "1s" } }, shield)).problems).toEqual([]);
  expect(readCanary(canary({ service: { port: 80, timeout: "0s" } }, shield)).problems).toEqual([]);
});

test("an Envoy that is known to be too old is refused by its version", () => {
  const object = analysed({ stepWeight: 5, shield: {} });
  expect(readCanary(object, { envoyVersion: "1.36.9" }).problems).toMatchObject([
    { field: "/spec/analysis/shield", message: "needs Envoy 1.37 or newer, the proxies are 1.36.9" },
  ]);
  expect(readCanary(object, { envoyVersion: "1.37.0" }).problems).toEqual([]);
});
