import { expect, test } from "vitest";
import type { Problem } from "../api/resource.ts";
import { conditionsOf } from "./status.ts";

const problem: Problem = {
  resource: { kind: "VirtualService", namespace: "demo", name: "shop" },
  field: "/spec/http/0/route/0/destination/host",
  message: "no Service `x` exists",
};

test("says how many proxies hold the routes", () => {
  expect(conditionsOf({ held: 3, of: 3 }, [])).toMatchObject([
    { type: "Programmed", status: "True", message: "Programmed 3/3" },
    { type: "Accepted", status: "True" },
  ]);
  expect(conditionsOf({ held: 2, of: 3 }, [])[0]).toMatchObject({
    status: "False",
    reason: "Pending",
    message: "Programmed 2/3",
  });
  expect(conditionsOf({ held: 0, of: 0 }, [])[0]).toMatchObject({ status: "Unknown", reason: "NoProxies" });
});

test("names the field of what cannot be carried out, and a proxy's refusal", () => {
  const [, accepted] = conditionsOf({ held: 1, of: 1 }, [problem]);
  expect(accepted).toMatchObject({
    status: "False",
    message: "/spec/http/0/route/0/destination/host: no Service `x` exists",
  });
  const [programmed] = conditionsOf({ held: 1, of: 1 }, [
    { ...problem, message: "a proxy refused route `80`: no" },
  ]);
  expect(programmed).toMatchObject({ status: "False", reason: "Refused" });
});
