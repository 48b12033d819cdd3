import type { Predicate } from "../model.ts";
import { readPort } from "./operation.ts";
import type { Compile } from "./rule.ts";
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

interface Key {
  readonly about: "source" | "operation";
  readonly http: boolean;
  readonly read: Read;
}

const fixed: ReadonlyMap<string, Key> = new Map<string, Key>([
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

/** Reads the key of a `when`; undefined where Istio has no such key. */
function readKey(key: string): Key | undefined {
  const known = fixed.get(key);
  if (known) return known;
  const header = /^request\.headers\[([^\]]+)\]$/.exec(key)?.[1];
  if (header !== undefined) {
    return {
      about: "source",
      http: true,
      read: (value) => ({ kind: "header", name: header.toLowerCase(), match: textMatch(value) }),
    };
  }
  const claims = /^request\.auth\.claims((\[[^\]]+\])+)$/.exec(key)?.[1];
  if (claims !== undefined)
    return { about: "source", http: true, read: claim(claims.slice(1, -1).split("][")) };
  return undefined;
}

interface When {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

/** One `when`, and whether it is about who asks or for what. */
export function compileCondition(
  when: When,
  pointer: string,
  compile: Compile,
): { readonly about: Key["about"]; readonly predicate: Predicate } {
  const key = readKey(when.key);
  if (key === undefined) {
    return {
      about: "source",
      predicate: compile.unreadable(`${pointer}/key`, `\`${when.key}\` is no key of a condition`),
    };
  }
  const field = {
    name: "values" as const,
    not: "notValues" as const,
    read: key.read,
    ...(key.http ? { http: true as const } : {}),
  };
  return { about: key.about, predicate: compile.fields(when, [field], pointer) };
}
