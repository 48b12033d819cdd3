/**
 * The goldens of `testdata` have each field, and each value of a field with few, of the kinds that route: carried out, or
 * told in a problem or condition. Of the Gateway API those without any effect stand in docs/gateway-api.md instead.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { crds } from "../api/crds.ts";
import { isObject } from "../api/schema/prepare.ts";
import type { Schema } from "../api/schema/schema.ts";

const kinds = [
  "networking.istio.io VirtualService",
  "networking.istio.io DestinationRule",
  "networking.istio.io Gateway",
  "networking.istio.io ServiceEntry",
  "networking.istio.io WorkloadEntry",
  "networking.istio.io Sidecar",
  "telemetry.istio.io Telemetry",
  "gateway.networking.k8s.io GatewayClass",
  "gateway.networking.k8s.io Gateway",
  "gateway.networking.k8s.io HTTPRoute",
  "gateway.networking.k8s.io GRPCRoute",
  "gateway.networking.k8s.io TLSRoute",
  "gateway.networking.k8s.io TCPRoute",
  "gateway.networking.k8s.io ReferenceGrant",
  "gateway.networking.k8s.io BackendTLSPolicy",
];

/** Fields without effect, and all below them: in the document's table, as ``| `KIND` | `FIELD`, `FIELD=VALUE` | ``. */
const withoutEffect = readFileSync(join(import.meta.dirname, "../docs/gateway-api.md"), "utf8")
  .split("\n")
  .flatMap((line) => {
    const [, kind, fields = ""] = /^\| `(\w+)` +\| (`.*?`) +\|/.exec(line) ?? [];
    return [...fields.matchAll(/`([^`]+)`/g)].map(
      ([, field]) => `gateway.networking.k8s.io ${kind} ${field}`,
    );
  });

/** Messages that stand in several places are one: a subset's and a port's policy, the pool and the TLS of a Sidecar, a route's filters. */
const shared: readonly (readonly [RegExp, string])[] = [
  [/^(?:subsets\[\]\.)?trafficPolicy(?:\.portLevelSettings\[\])?\.(?!port\b|portLevelSettings$)/, "policy."],
  [/^(?:inboundConnectionPool|ingress\[\]\.connectionPool)\./, "policy.connectionPool."],
  [/^(?:servers|ingress)\[\]\.tls\./, "serverTls."],
  [/^tls\.frontend\.(?:default|perPort\[\]\.tls)\./, "tls.frontend."],
  // Filters that are refused for one backend, whatever they say.
  [
    /^rules\[\]\.backendRefs\[\]\.filters\[\]\.(?=(?:cors|requestMirror|requestRedirect|urlRewrite)\.)/,
    "rules[].filters[].",
  ],
];
const nameOf = (path: string): string => shared.reduce((name, [from, to]) => name.replace(from, to), path);

/** All fields that a schema knows, and their values where it lists them. */
function* fieldsOf(schema: Schema, path = ""): Generator<string> {
  if (path !== "") yield path;
  for (const value of schema.enum ?? []) yield `${path}=${String(value)}`;
  const { properties = {}, items, additionalProperties } = schema;
  if (items) for (const field of fieldsOf(items, `${path}[]`)) yield field;
  if (additionalProperties) for (const field of fieldsOf(additionalProperties, `${path}{}`)) yield field;
  for (const [key, value] of Object.entries(properties))
    for (const field of fieldsOf(value, path === "" ? key : `${path}.${key}`)) yield field;
}

/** The same of an object; keys of maps are told from fields by the schema. */
function* usedBy(value: unknown, schema: Schema | undefined, path = ""): Generator<string> {
  if (path !== "") yield path;
  if (Array.isArray(value)) {
    for (const item of value) for (const field of usedBy(item, schema?.items, `${path}[]`)) yield field;
  } else if (isObject(value)) {
    const { properties = {}, additionalProperties } = schema ?? {};
    for (const [key, item] of Object.entries(value)) {
      const isField = Object.hasOwn(properties, key);
      const below = isField ? (path === "" ? key : `${path}.${key}`) : `${path}{}`;
      for (const field of usedBy(item, isField ? properties[key] : additionalProperties, below)) yield field;
    }
  } else if (schema?.enum) yield `${path}=${String(value)}`;
}

const objects = globSync(join(import.meta.dirname, "testdata/*.in.yaml"))
  .flatMap((path) => parseAllDocuments(readFileSync(path, "utf8")))
  .map((document): unknown => document.toJS())
  .filter(isObject);

function schemaOf(kind: string): Schema {
  const crd = crds.find(({ spec }) => `${spec.group} ${spec.names.kind}` === kind);
  const schema = crd?.spec.versions[0]?.schema?.openAPIV3Schema?.properties?.spec;
  if (schema === undefined) throw new Error(`no schema of ${kind}`);
  return schema;
}

/** `KIND FIELD`; a shared message's fields are no one kind's. */
const nameIn = (kind: string, path: string): string => {
  const name = nameOf(path);
  return /^(?:policy|serverTls)\./.test(name) ? name : `${kind} ${name}`;
};

const used = new Set(
  objects.flatMap(({ apiVersion, kind: written, spec }) => {
    const kind = `${String(apiVersion).split("/")[0]} ${String(written)}`;
    if (!kinds.includes(kind)) return [];
    return [...usedBy(spec, schemaOf(kind))].map((path) => nameIn(kind, path));
  }),
);

test.for(kinds)("each field of %s is in a golden", (kind) => {
  const known = new Set([...fieldsOf(schemaOf(kind))].map((path) => nameIn(kind, path)));
  const missing = [...known].filter((field) => !used.has(field));
  expect(missing.filter((field) => !withoutEffect.some((one) => isWithin(field, one)))).toEqual([]);
});

/** Whether a field is another, a part of it or a value of it. */
function isWithin(field: string, other: string): boolean {
  return field === other || (field.startsWith(other) && /^[.[{=]/.test(field.slice(other.length)));
}

test("what is said to be without effect exists, and is in no golden", () => {
  const known = new Set(
    kinds.flatMap((kind) => [...fieldsOf(schemaOf(kind))].map((path) => nameIn(kind, path))),
  );
  expect(withoutEffect.length).toBeGreaterThan(0);
  expect(withoutEffect.filter((field) => !known.has(field) || used.has(field))).toEqual([]);
});
