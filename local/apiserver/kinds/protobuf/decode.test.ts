import fc from "fast-check";
import { expect, test } from "vitest";
import { readProtobuf } from "./decode.ts";
import { readFields, readPacked } from "./wire.ts";

const field = (number: number, ...content: (Buffer | string)[]) => {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
};
const varint = (number: number, value: number) => Buffer.from([number << 3, value]);

function object(apiVersion: string, kind: string, ...fields: Buffer[]): Buffer {
  const typeMeta = field(1, field(1, apiVersion), field(2, kind));
  return Buffer.concat([Buffer.from("k8s\0"), typeMeta, field(2, ...fields)]);
}

const named = field(1, field(1, "web"), field(3, ""), field(8));

test("an object reads as its JSON: maps, embedded messages, quantities; what is empty is left out", () => {
  const labels = [field(11, field(1, "a"), field(2, "b")), field(11, field(1, "__proto__"), field(2, "c"))];
  const emptyDir = field(1, field(1, "tmp"), field(2, field(2, field(1, "Memory"))));
  const limits = field(8, field(1, field(1, "cpu"), field(2, field(1, "500m"))));
  const container = field(2, field(1, "main"), field(2, ""), limits);
  const pod = object(
    "v1",
    "Pod",
    field(1, field(1, "web"), ...labels),
    field(2, emptyDir, container, varint(11, 1)),
  );
  const metadata = { name: "web", labels: JSON.parse('{"a":"b","__proto__":"c"}') as object };
  expect(JSON.parse(JSON.stringify(readProtobuf(pod)))).toEqual({
    ...{ apiVersion: "v1", kind: "Pod" },
    metadata,
    spec: {
      volumes: [{ name: "tmp", emptyDir: { medium: "Memory" } }],
      containers: [{ name: "main", resources: { limits: { cpu: "500m" } } }],
      hostNetwork: true,
    },
  });
});

test("int-or-string, times and raw JSON have forms of their own", () => {
  const port = field(1, field(1, "http"), varint(3, 80), field(4, varint(1, 1), field(3, "web")));
  expect(readProtobuf(object("v1", "Service", named, field(2, port)))).toMatchObject({
    metadata: { name: "web" },
    spec: { ports: [{ name: "http", port: 80, targetPort: "web" }] },
  });
  const revision = object(
    "apps/v1",
    "ControllerRevision",
    named,
    field(2, field(1, '{"spec":1}')),
    varint(3, 2),
  );
  expect(readProtobuf(revision)).toMatchObject({ data: { spec: 1 }, revision: 2 });
});

test("packed numbers read one by one", () => {
  expect(readPacked(Buffer.from([1, 0x96, 0x01, 3]))).toEqual([1n, 150n, 3n]);
});

test.for([
  [Buffer.from("{}"), "the prefix `k8s` is missing"],
  [Buffer.from("k8s\0"), "apiVersion and kind are missing"],
  [object("v1", "Nothing"), 'no kind "Nothing" is registered for version "v1"'],
  [object("v1", "Pod", named).subarray(0, -3), "a field is cut off"],
] as const)("%s is refused: %s", ([body, words]) => {
  expect(() => readProtobuf(body)).toThrow(words);
});

test("no bytes do worse than an error", () => {
  const whole = object("v1", "Pod", named, field(2, field(2, field(1, "main"))));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: whole.length }), (bytes, at) => {
      const broken = Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(at)]);
      try {
        readProtobuf(broken);
        for (const _ of readFields(Buffer.from(bytes)));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect(error).not.toBeInstanceOf(TypeError);
      }
    }),
    { numRuns: 500 },
  );
});
