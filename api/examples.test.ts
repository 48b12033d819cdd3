import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readCanary } from "./canary/read.ts";
import { crds } from "./crds.ts";
import { readManifests } from "./manifest.ts";
import { read } from "./read.ts";

const files = globSync("examples/**/*.yaml").sort();

test("there are examples", () => expect(files.length).toBeGreaterThan(4));

test.for(files)("%s is read without a problem", (file) => {
  const { objects, problems } = readManifests(readFileSync(file, "utf8"), file);
  expect(problems).toEqual([]);
  for (const { object } of objects) {
    const crd = crds.find(({ spec }) => spec.names.kind === object.kind);
    if (!crd) continue;
    const { group, names } = crd.spec;
    const kind = { group, version: "v1", kind: names.kind, plural: names.plural, namespaced: true };
    expect((object.kind === "Canary" ? readCanary(object) : read(kind, object)).problems).toEqual([]);
  }
});

test.for(globSync("examples/*/README.md"))("%s is short", (file) => {
  expect(readFileSync(file, "utf8").trim().split("\n").length).toBeLessThanOrEqual(12);
});
