import type { Predicate, TextMatch } from "../model.ts";
import { inBlock } from "./address.ts";
import type { Facts } from "./facts.ts";
import {
  type IdentityTest,
  namespaceTest,
  principalTest,
  serviceAccountTest,
  trustDomainTest,
} from "./identity.ts";
import { templateTest } from "./template.ts";
import { asciiLowerCase, lowerCase, textTest } from "./text.ts";

/** A predicate made ready: built once a policy, called once a request. */
export type Test = (facts: Facts) => boolean;

/** Compiles a predicate to a closure. No user text ever becomes a regular expression. */
export function test(predicate: Predicate): Test {
  switch (predicate.kind) {
    case "any":
      return () => true;
    case "all":
      return allTest(predicate.of.map(test));
    case "some":
      return someTest([...exactTests(predicate.of)]);
    case "not": {
      const inner = test(predicate.of);
      return (facts) => !inner(facts);
    }
    case "principal":
      return predicate.match.kind === "exact"
        ? oneOfPeers(`spiffe://${predicate.match.value}`)
        : peerTest(principalTest(predicate.match));
    case "namespace":
      return peerTest(namespaceTest(predicate.glob));
    case "service-account":
      return peerTest(serviceAccountTest(predicate.namespace, predicate.name));
    case "trust-domain":
      return peerTest(trustDomainTest(predicate.match));
    case "request-principal": {
      const issuer = textTest(predicate.issuer);
      const subject = textTest(predicate.subject);
      return ({ request: { claims } }) =>
        isText(valueAt(claims, ["iss"]), issuer) && isText(valueAt(claims, ["sub"]), subject);
    }
    case "claim": {
      const matches = textTest(predicate.match);
      return ({ request }) => {
        const value = valueAt(request.claims, predicate.path);
        return isText(value, matches) || hasElement(value, matches);
      };
    }
    case "metadata": {
      const matches = textTest(predicate.match);
      const { filter, key, list } = predicate;
      return ({ request }) => {
        const value = valueAt(request.metadata, [filter, key]);
        return list ? hasElement(value, matches) : isText(value, matches);
      };
    }
    case "source-ip": {
      const inside = inBlock(predicate.block);
      return ({ request }) => inside(request.sourceIp);
    }
    case "remote-ip": {
      const inside = inBlock(predicate.block);
      return ({ request }) => inside(request.remoteIp);
    }
    case "destination-ip": {
      const inside = inBlock(predicate.block);
      return ({ request }) => inside(request.destination.ip);
    }
    case "destination-port":
      return ({ request }) => request.destination.port === predicate.port;
    case "method":
      return methodTest(predicate.match);
    case "host": {
      // `*` asks for the header only, which may be empty.
      if (predicate.match.kind === "present") return () => true;
      const matches = textTest(lowerCase(predicate.match));
      return ({ host }) => matches(host);
    }
    case "path":
      return pathTest(predicate.match);
    case "path-template": {
      const matches = templateTest(predicate.template);
      return ({ path }) => matches(path);
    }
    case "header":
      return headerTest(predicate.name, predicate.match);
    case "sni": {
      const matches = textTest(predicate.match);
      return ({ request }) => matches(request.sni);
    }
  }
}

/** Paths and methods are asked most: their comparisons stand in one closure. */
function pathTest(match: TextMatch): Test {
  const value = match.kind === "present" ? "" : match.value;
  switch (match.kind) {
    case "exact":
      return (facts) => facts.path === value;
    case "prefix":
      return (facts) => facts.path.startsWith(value);
    case "suffix":
      return (facts) => facts.path.endsWith(value);
    case "present":
      return (facts) => facts.path !== "";
  }
}

function methodTest(match: TextMatch): Test {
  if (match.kind === "exact") {
    const { value } = match;
    return ({ request }) => request.method === value;
  }
  const matches = textTest(match);
  return ({ request }) => matches(request.method);
}

/** The parts of a choice made ready; many exact values of one field become one look into a set. */
function* exactTests(parts: readonly Predicate[]): Generator<Test> {
  const sets = { path: new Set<string>(), method: new Set<string>(), host: new Set<string>() };
  for (const part of parts) {
    const isText = part.kind === "path" || part.kind === "method" || part.kind === "host";
    if (!isText || part.match.kind !== "exact") yield test(part);
    else sets[part.kind].add(part.kind === "host" ? asciiLowerCase(part.match.value) : part.match.value);
  }
  const { path, method, host } = sets;
  const [onlyPath = ""] = path;
  const [onlyMethod = ""] = method;
  if (path.size === 1) yield (facts) => facts.path === onlyPath;
  else if (path.size > 0) yield (facts) => path.has(facts.path);
  if (method.size === 1) yield ({ request }) => request.method === onlyMethod;
  else if (method.size > 0) yield ({ request }) => method.has(request.method);
  if (host.size > 0) yield (facts) => host.has(facts.host);
}

function allTest(tests: readonly Test[]): Test {
  const [first, second] = tests;
  if (tests.length === 2 && first && second) return (facts) => first(facts) && second(facts);
  return (facts) => {
    for (const one of tests) if (!one(facts)) return false;
    return true;
  };
}

function someTest(tests: readonly Test[]): Test {
  const [first, second] = tests;
  if (tests.length === 1 && first) return first;
  if (tests.length === 2 && first && second) return (facts) => first(facts) || second(facts);
  return (facts) => {
    for (const one of tests) if (one(facts)) return true;
    return false;
  };
}

/** Any identity of the peer will do; without TLS there is none. */
function peerTest(matches: IdentityTest): Test {
  return ({ request: { identities } }) => {
    if (identities === undefined) return false;
    for (const identity of identities) if (matches(identity)) return true;
    return false;
  };
}

/** Whether an identity of the peer is this one. */
function oneOfPeers(wanted: string): Test {
  return ({ request: { identities } }) => {
    if (identities === undefined) return false;
    for (const identity of identities) if (identity === wanted) return true;
    return false;
  };
}

/** Each line is compared alone; `*` accepts an empty one. */
function headerTest(name: string, match: TextMatch): Test {
  const matches = match.kind === "present" ? () => true : textTest(match);
  switch (name) {
    case ":path":
      return ({ request }) => matches(request.path);
    case ":method":
      return ({ request }) => matches(request.method);
    case ":authority":
    case "host":
      return ({ request }) => matches(request.host);
    default:
      return ({ request }) => {
        const lines = request.headers.get(name);
        if (lines === undefined) return false;
        for (const line of lines) if (matches(line)) return true;
        return false;
      };
  }
}

function isText(value: unknown, matches: (text: string) => boolean): boolean {
  return typeof value === "string" && matches(value);
}

function hasElement(value: unknown, matches: (text: string) => boolean): boolean {
  return Array.isArray(value) && value.some((element) => isText(element, matches));
}

/** A value inside objects; names such as `__proto__` are plain keys. */
function valueAt(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const key of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}
