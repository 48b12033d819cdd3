/** The CRDs of Istio and of the Gateway API, as they ship: the embedded server takes them, and every rule runs. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { hasRules, ruleFaults } from "../../local/apiserver/cel/rules.ts";
import { isObject, type JsonObject, listAt, objectAt, textAt } from "../../local/apiserver/json.ts";
import { isSchema, type Schema } from "../../local/apiserver/schema/schema.ts";
import { startTestServer, type TestServer } from "../../local/apiserver/testing.ts";
import { goModule } from "../support/go-module.ts";

const peers = [
  {
    module: "istio.io/api",
    version: "v1.31.1",
    files: "kubernetes/customresourcedefinitions.gen.yaml",
    rules: 345,
  },
  {
    module: "sigs.k8s.io/gateway-api",
    version: "v1.6.0",
    files: "config/crd/experimental/*.yaml",
    rules: 132,
  },
];

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

test.for(peers)("$module $version", async ({ module, version, files, rules }) => {
  const folder = await goModule(module, version);
  const definitions = globSync(files, { cwd: folder })
    .flatMap((file) => parseAllDocuments(readFileSync(join(folder, file), "utf8")))
    .map((document): unknown => document.toJS())
    .filter(isObject)
    .filter(({ kind }) => kind === "CustomResourceDefinition");
  expect(definitions.length).toBeGreaterThan(5);
  let ran = 0;
  for (const definition of definitions) {
    const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const { status, text } = await api.call("POST", path, { body: definition });
    expect(text).not.toContain("compilation failed");
    expect(status).toBe(201);
    for (const schema of schemasOf(definition)) {
      const value = sample(schema);
      for (const old of [undefined, { ...changed(value) }]) {
        for (const { field, message } of ruleFaults(value, old, schema))
          expect(`${field}: ${message}`).not.toContain("rule evaluation error");
      }
      ran += countRules(schema);
    }
  }
  expect(ran).toBeGreaterThanOrEqual(rules);
});

test("a rule of the Gateway API refuses what it should, in its own words", async () => {
  const route = (path: string) => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "web" },
    spec: { rules: [{ matches: [{ path: { type: "PathPrefix", value: path } }] }] },
  });
  const routes = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes";
  const refused = await api.call("POST", `${routes}?dryRun=All`, { body: route("/a//b") });
  expect(refused.status).toBe(422);
  expect(textAt(refused.body, "message")).toContain("must not contain '//'");
  expect((await api.call("POST", routes, { body: route("/a/b") })).status).toBe(201);
});

function schemasOf(definition: JsonObject): Schema[] {
  return listAt(definition, "spec", "versions").flatMap((version) => {
    const schema = objectAt(version, "schema").openAPIV3Schema;
    return isSchema(schema) && hasRules(schema) ? [schema] : [];
  });
}

function countRules(schema: Schema): number {
  const { properties = {}, items, additionalProperties: rest } = schema;
  const parts = [...Object.values(properties), items, rest].filter((part) => typeof part === "object");
  return parts.reduce((sum, part) => sum + countRules(part), schema["x-kubernetes-validations"]?.length ?? 0);
}

/** A value with every field set, so that every rule is reached. */
function sample(schema: Schema): unknown {
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema["x-kubernetes-int-or-string"] === true) return 1;
  switch (schema.type) {
    case "object": {
      const { properties = {}, additionalProperties: rest } = schema;
      const fields = Object.entries(properties).map(([name, part]) => [name, sample(part)] as const);
      return Object.fromEntries(typeof rest === "object" ? [...fields, ["80", sample(rest)]] : fields);
    }
    case "array":
      return schema.items === undefined ? [] : [sample(schema.items), sample(schema.items)];
    case "integer":
      return schema.minimum ?? 1;
    case "number":
      return 1.5;
    case "boolean":
      return true;
    default:
      return sampleText(schema);
  }
}

/** A text that is good for whatever a rule may read it as. */
function sampleText({ format, maxLength, "x-kubernetes-validations": rules = [] }: Schema): string {
  if (format === "date-time") return "2026-01-01T00:00:00Z";
  const asked = rules.map(({ rule }) => rule).join(" ");
  if (asked.includes("duration(self)")) return "10s";
  if (asked.includes("url(self)")) return "https://example.com/";
  return maxLength !== undefined && maxLength < 8 ? "a" : "10s";
}

function changed(value: unknown): JsonObject {
  return isObject(value) ? { ...value, spec: undefined, changed: true } : {};
}
