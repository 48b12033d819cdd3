import { expect, test } from "vitest";
import { readAttempt } from "./attempt-entry.ts";

const canary = "outbound|80||shop-canary.demo.svc.cluster.local";
const entry = ({ flags = "-", status = "200", attempt = "1", trailer = "-", header = "-" } = {}) =>
  ["127.9.1.1:40000", "250", canary, "shop", canary, flags, status, attempt, trailer, header].join("\t");
const read = (text: string) => readAttempt({ at: 1_795_255_394_500, text });

test("an entry tells who asked, when it ended, which cluster was asked and how it answered", () => {
  expect(read(entry({ flags: "UF,URX", status: "0", attempt: "2" }))).toEqual({
    downstream: "127.9.1.1:40000",
    end: 1_795_255_394_750,
    upstreamCluster: canary,
    workload: "shop",
    canaryCluster: canary,
    flags: ["UF", "URX"],
    status: 0,
    grpcStatus: undefined,
    attempt: 2,
  });
});

test.for([
  ["-", "-", undefined],
  ["-", "14", 14],
  ["0", "14", 0],
  ["13", "-", 13],
  ["14x", "-", undefined],
  ["2\t3", "-", 2],
] as const)("with the trailer %j and the header %j the gRPC status is %d", ([trailer, header, status]) => {
  expect(read(entry({ trailer, header })).grpcStatus).toBe(status);
});

test("what is not there has the value that it has in Envoy", () => {
  expect(read(entry({ status: "-", attempt: "-" }).replace(`\tshop\t${canary}\t`, "\t-\t-\t"))).toMatchObject(
    {
      workload: "",
      status: 0,
      attempt: 1,
      canaryCluster: "",
      flags: [],
    },
  );
});

test.for([
  "",
  "a\tb",
  entry().split("\t").slice(0, 9).join("\t"),
  entry({ status: "two" }),
  entry({ attempt: "-1" }),
])("%j is no entry", (text) => {
  expect(() => read(text)).toThrow(RangeError);
});
