import { BlockList, isIP } from "node:net";
import type { Block, Predicate, TextMatch } from "../model.ts";
import type { PolicyRequest } from "./request.ts";

/** A predicate made ready: built once a policy, called once a request. */
export type Test = (request: PolicyRequest) => boolean;

/** Compiles a predicate to a closure. No user text ever becomes a regular expression. */
export function test(predicate: Predicate): Test {
  switch (predicate.kind) {
    case "any":
      return () => true;
    case "all": {
      const tests = predicate.of.map(test);
      return (request) => tests.every((one) => one(request));
    }
    case "some": {
      const tests = predicate.of.map(test);
      return (request) => tests.some((one) => one(request));
    }
    case "not": {
      const inner = test(predicate.of);
      return (request) => !inner(request);
    }
    case "principal": {
      const matches = spiffeTest(predicate.match);
      return ({ principal }) => principal !== undefined && matches(principal);
    }
    case "namespace": {
      const matches = globTest(predicate.glob);
      return ({ principal }) => principal !== undefined && matches(principal);
    }
    case "service-account": {
      const end = `/ns/${predicate.namespace}/sa/${predicate.name}`;
      return ({ principal }) => principal !== undefined && hasIdentity(principal, end);
    }
    case "request-principal": {
      const issuer = textTest(predicate.issuer);
      const subject = textTest(predicate.subject);
      return ({ claims }) =>
        isText(claimAt(claims, ["iss"]), issuer) && isText(claimAt(claims, ["sub"]), subject);
    }
    case "claim": {
      const matches = textTest(predicate.match);
      return ({ claims }) => {
        const value = claimAt(claims, predicate.path);
        return Array.isArray(value)
          ? value.some((element) => isText(element, matches))
          : isText(value, matches);
      };
    }
    case "source-ip":
      return addressTest(predicate.block, ({ sourceIp }) => sourceIp);
    case "remote-ip":
      return addressTest(predicate.block, ({ remoteIp }) => remoteIp);
    case "destination-ip":
      return addressTest(predicate.block, ({ destination }) => destination.ip);
    case "destination-port":
      return ({ destination }) => destination.port === predicate.port;
    case "method": {
      const matches = textTest(predicate.match);
      return ({ method }) => matches(method);
    }
    case "host": {
      const matches = textTest(lowerCase(predicate.match));
      return ({ host }) => matches(host.toLowerCase());
    }
    case "path": {
      const matches = textTest(predicate.match);
      return ({ path }) => matches(withoutQuery(path));
    }
    case "path-template": {
      const matches = templateTest(predicate.template);
      return ({ path }) => matches(withoutQuery(path));
    }
    case "header":
      return headerTest(predicate.name, predicate.match);
    case "sni": {
      const matches = textTest(predicate.match);
      return ({ sni }) => sni !== undefined && matches(sni);
    }
  }
}

function textTest(match: TextMatch): (text: string) => boolean {
  switch (match.kind) {
    case "exact":
      return (text) => text === match.value;
    case "prefix":
      return (text) => text.startsWith(match.value);
    case "suffix":
      return (text) => text.endsWith(match.value);
    case "present":
      return (text) => text !== "";
  }
}

function lowerCase(match: TextMatch): TextMatch {
  return match.kind === "present" ? match : { kind: match.kind, value: match.value.toLowerCase() };
}

const scheme = "spiffe://";

function spiffeTest(match: TextMatch): (principal: string) => boolean {
  if (match.kind === "present") return (principal) => principal !== "";
  const matches = textTest(match);
  return (principal) => principal.startsWith(scheme) && matches(principal.slice(scheme.length));
}

function hasIdentity(principal: string, end: string): boolean {
  if (!principal.startsWith(scheme)) return false;
  const slash = principal.indexOf("/", scheme.length);
  return slash > scheme.length && principal.slice(slash) === end;
}

/** `.*` + `/ns/` + glob + `/` + `.*`, each star of the glob any text. */
function globTest(glob: string): (principal: string) => boolean {
  const pieces = `/ns/${glob}/`.split("*");
  return (principal) => {
    let from = 0;
    for (const piece of pieces) {
      const found = principal.indexOf(piece, from);
      if (found < 0) return false;
      from = found + piece.length;
    }
    return true;
  };
}

function addressTest({ address, length }: Block, of: (request: PolicyRequest) => string): Test {
  const list = new BlockList();
  list.addSubnet(address, length, isIP(address) === 4 ? "ipv4" : "ipv6");
  return (request) => {
    const ip = of(request);
    const family = isIP(ip);
    return family !== 0 && list.check(ip, family === 4 ? "ipv4" : "ipv6");
  };
}

/** `*` accepts an empty header, other forms compare its text. */
function headerTest(name: string, match: TextMatch): Test {
  const matches = match.kind === "present" ? () => true : textTest(match);
  return ({ headers }) => {
    const value = headers.get(name);
    return value !== undefined && matches(value);
  };
}

function isText(value: unknown, matches: (text: string) => boolean): boolean {
  return typeof value === "string" && matches(value);
}

function claimAt(claims: unknown, path: readonly string[]): unknown {
  let value = claims;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function withoutQuery(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

/** `{*}`: one segment that is not empty. `{**}`: the rest, none included. */
function templateTest(template: string): (path: string) => boolean {
  const wanted = template.split("/").slice(1);
  const open = wanted.at(-1) === "{**}";
  const fixed = open ? wanted.slice(0, -1) : wanted;
  return (path) => {
    const segments = path.split("/").slice(1);
    if (open ? segments.length <= fixed.length : segments.length !== fixed.length) return false;
    return fixed.every((part, index) => (part === "{*}" ? segments[index] !== "" : segments[index] === part));
  };
}
