import type { Predicate } from "../model.ts";
import type { CompileField } from "./field.ts";
import { readPort } from "./operation.ts";
import {
  type Read,
  readAddress,
  readNamespace,
  readPrincipal,
  readRequestPrincipal,
  readServiceAccount,
  readTrustDomain,
} from "./source.ts";
import { textMatch } from "./text.ts";

/** A key that a `when` may have: where its predicate belongs, and how a value is read. */
export interface ConditionKey {
  readonly about: "source" | "operation";
  readonly http: boolean;
  readonly read: Read;
}

const fixed: ReadonlyMap<string, ConditionKey> = new Map<string, ConditionKey>([
  ["source.ip", { about: "source", http: false, read: readAddress("source-ip") }],
  ["remote.ip", { about: "source", http: false, read: readAddress("remote-ip") }],
  ["source.namespace", { about: "source", http: false, read: readNamespace }],
  ["source.principal", { about: "source", http: false, read: readPrincipal }],
  ["source.serviceAccount", { about: "source", http: false, read: readServiceAccount }],
  ["source.trustDomain", { about: "source", http: false, read: readTrustDomain }],
  ["request.auth.principal", { about: "source", http: true, read: readRequestPrincipal }],
  ["request.auth.audiences", { about: "source", http: true, read: claim(["aud"]) }],
  ["request.auth.presenter", { about: "source", http: true, read: claim(["azp"]) }],
  ["destination.ip", { about: "operation", http: false, read: readAddress("destination-ip") }],
  ["destination.port", { about: "operation", http: false, read: readPort }],
  [
    "connection.sni",
    { about: "operation", http: false, read: (value) => ({ kind: "sni", match: textMatch(value) }) },
  ],
]);

function claim(path: readonly string[]): Read {
  return (value) => ({ kind: "claim", path, match: textMatch(value) });
}

const unreadable: Read = () => undefined;

/** Reads the key of a `when`; undefined where Istio has no such key. */
export function readConditionKey(key: string): ConditionKey | undefined {
  const known = fixed.get(key);
  if (known) return known;
  if (key.startsWith("request.headers")) {
    const name = /^request\.headers\[(.+)\]$/s.exec(key)?.[1]?.toLowerCase();
    const read: Read = name ? (value) => ({ kind: "header", name, match: textMatch(value) }) : unreadable;
    return { about: "source", http: true, read };
  }
  if (key.startsWith("request.auth.claims")) {
    const claims = /^request\.auth\.claims((\[[^\]]+\])+)$/.exec(key)?.[1];
    const read = claims === undefined ? unreadable : claim(claims.slice(1, -1).split("]["));
    return { about: "source", http: true, read };
  }
  if (key.startsWith("experimental.envoy.filters.")) return metadataKey(key);
  return undefined;
}

/** `experimental.envoy.filters.a.b[c]`: key `c` of filter `envoy.filters.a.b`; a value `[v]` is an element of a list. */
function metadataKey(key: string): ConditionKey {
  const match = /^experimental\.([^[]+)\[(.+?)\]?$/s.exec(key);
  const [, filter, name] = match ?? [];
  if (filter === undefined || name === undefined)
    return { about: "operation", http: false, read: unreadable };
  return {
    about: "operation",
    http: false,
    read: (value) =>
      value.startsWith("[") && value.endsWith("]")
        ? {
            kind: "metadata",
            filter,
            key: name,
            match: textMatch(value.replace(/^[[\]]+|[[\]]+$/g, "")),
            list: true,
          }
        : { kind: "metadata", filter, key: name, match: textMatch(value), list: false },
  };
}

export interface When {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

/** One `when` under a key that was read. */
export function compileCondition(
  when: When,
  key: ConditionKey,
  pointer: string,
  compile: CompileField,
): Predicate[] {
  const field = { name: "values", not: "notValues", read: key.read } as const;
  return compile(when, key.http ? { ...field, http: true } : field, pointer);
}
