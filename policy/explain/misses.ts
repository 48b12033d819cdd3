import { Facts } from "../evaluate/facts.ts";
import { test } from "../evaluate/predicate.ts";
import type { PolicyRequest } from "../evaluate/request.ts";
import type { Leaf, Predicate, TextMatch } from "../model.ts";
import { withoutQuery } from "../path/normalize.ts";

/** A part of a rule that a request does not meet. */
export interface Miss {
  /** As in the policy: `paths`, `request.headers[x-role]`. */
  readonly field: string;
  /** What would have met it, in the policy's words; of a `not` field, what it must not be. */
  readonly wanted: readonly string[];
  readonly negated: boolean;
  /** What the request has. */
  readonly got: string;
}

/** The fewest parts that would have to change for a predicate to hold; none where it holds. */
export function missesOf(predicate: Predicate, request: PolicyRequest): readonly Miss[] {
  const facts = new Facts(request);
  const holds = (part: Predicate) => test(part)(facts);
  const look = (part: Predicate): readonly Miss[] => {
    if (holds(part)) return [];
    switch (part.kind) {
      case "all":
        return part.of.flatMap(look);
      case "some": {
        const leaves = part.of.filter(isLeaf);
        const [first] = leaves;
        if (first && leaves.length === part.of.length) return [missOf(leaves, request, false)];
        return part.of.map(look).reduce((least, misses) => (misses.length < least.length ? misses : least));
      }
      case "not":
        return [missOf(leavesOf(part.of).filter(holds), request, true)];
      case "any":
        return [];
      default:
        return [missOf([part], request, false)];
    }
  };
  return look(predicate);
}

function missOf(leaves: readonly Leaf[], request: PolicyRequest, negated: boolean): Miss {
  const [first] = leaves;
  return {
    field: first ? fieldOf(first) : "rule",
    wanted: [...new Set(leaves.map(wantedOf))],
    negated,
    got: first ? gotOf(first, request) : "",
  };
}

function isLeaf(predicate: Predicate): predicate is Leaf {
  return !["any", "all", "some", "not"].includes(predicate.kind);
}

function leavesOf(predicate: Predicate): readonly Leaf[] {
  switch (predicate.kind) {
    case "any":
      return [];
    case "all":
    case "some":
      return predicate.of.flatMap(leavesOf);
    case "not":
      return leavesOf(predicate.of);
    default:
      return [predicate];
  }
}

const fields: Readonly<Partial<Record<Leaf["kind"], string>>> = {
  principal: "principals",
  namespace: "namespaces",
  "service-account": "serviceAccounts",
  "trust-domain": "trustDomains",
  "request-principal": "requestPrincipals",
  "source-ip": "ipBlocks",
  "remote-ip": "remoteIpBlocks",
  "destination-ip": "destination.ip",
  "destination-port": "ports",
  method: "methods",
  host: "hosts",
  path: "paths",
  "path-template": "paths",
  sni: "connection.sni",
};

function fieldOf(leaf: Leaf): string {
  switch (leaf.kind) {
    case "header":
      return `request.headers[${leaf.name}]`;
    case "claim":
      return `request.auth.claims${leaf.path.map((key) => `[${key}]`).join("")}`;
    case "metadata":
      return `experimental.${leaf.filter}[${leaf.key}]`;
    default:
      return fields[leaf.kind] ?? leaf.kind;
  }
}

function wantedOf(leaf: Leaf): string {
  switch (leaf.kind) {
    case "namespace":
      return leaf.glob;
    case "service-account":
      return `${leaf.namespace}/${leaf.name}`;
    case "request-principal":
      return `${wordMatch(leaf.issuer)}/${wordMatch(leaf.subject)}`;
    case "source-ip":
    case "remote-ip":
    case "destination-ip":
      return `${leaf.block.address}/${leaf.block.length}`;
    case "destination-port":
      return String(leaf.port);
    case "path-template":
      return leaf.template;
    default:
      return wordMatch(leaf.match);
  }
}

function wordMatch(match: TextMatch): string {
  switch (match.kind) {
    case "present":
      return "*";
    case "prefix":
      return `${match.value}*`;
    case "suffix":
      return `*${match.value}`;
    case "exact":
      return match.value;
  }
}

const nothing = "nothing";
/** Headers whose values stay out of explanations, which end up in chats and tickets. */
const secretHeader = /authorization|cookie|token|secret|password|api-?key/;

function gotOf(leaf: Leaf, request: PolicyRequest): string {
  switch (leaf.kind) {
    case "principal":
    case "namespace":
    case "service-account":
    case "trust-domain":
      return (
        request.identities
          ?.filter((name) => name !== "")
          .map((name) => name.replace(/^spiffe:\/\//, ""))
          .join(", ") || "no client certificate"
      );
    case "request-principal": {
      const { iss, sub } = request.claims ?? {};
      return request.claims ? `${String(iss)}/${String(sub)}` : "no token";
    }
    case "claim":
      return request.claims ? wordValue(leaf.path, request.claims) : "no token";
    case "source-ip":
      return request.sourceIp;
    case "remote-ip":
      return request.remoteIp;
    case "destination-ip":
      return request.destination.ip;
    case "destination-port":
      return String(request.destination.port);
    case "method":
      return request.method;
    case "host":
      return request.host;
    case "path":
    case "path-template":
      return withoutQuery(request.path);
    case "header": {
      const lines = request.headers.get(leaf.name);
      if (lines === undefined) return nothing;
      return secretHeader.test(leaf.name) ? "a value that is not shown" : lines.join(" | ");
    }
    case "sni":
      return request.sni || nothing;
    case "metadata":
      return wordValue([leaf.filter, leaf.key], request.metadata ?? {});
  }
}

function wordValue(path: readonly string[], object: Readonly<Record<string, unknown>>): string {
  let value: unknown = object;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return nothing;
    value = Reflect.get(value, key);
  }
  return typeof value === "string" ? value : (JSON.stringify(value) ?? nothing);
}
