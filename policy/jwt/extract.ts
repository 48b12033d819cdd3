import type { JwtRule } from "../model.ts";
import { type QueryParameter, readQuery } from "./query.ts";

/** What a token is looked for in. */
export interface Carrier {
  /** With its query. */
  readonly path: string;
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

/** A token that a request carries, and where. */
export interface CarriedToken {
  readonly text: string;
  /** Issuers that look there; undefined where one looks for any. */
  readonly issuers: ReadonlySet<string> | undefined;
  readonly at: { readonly kind: "header" | "param" | "cookie"; readonly name: string };
}

interface Place {
  readonly kind: "header" | "param" | "cookie";
  readonly name: string;
  readonly prefix: string;
  readonly issuers: Set<string>;
}

const standard = [
  { kind: "header", name: "authorization", prefix: "Bearer " },
  { kind: "param", name: "access_token", prefix: "" },
] as const;

/** Finds the tokens that rules look for: in headers first, then in parameters, then in cookies, each by name. */
export function extractTokens(rules: readonly JwtRule[], carrier: Carrier): CarriedToken[] {
  const places = placesOf(rules);
  const query = places.some(({ kind }) => kind === "param") ? readQuery(carrier.path) : [];
  return places.flatMap((place) =>
    tokensAt(place, carrier, query).map((text) => ({
      text,
      issuers: place.issuers.has("") ? undefined : place.issuers,
      at: { kind: place.kind, name: place.name },
    })),
  );
}

const order = { header: 0, param: 1, cookie: 2 } as const;

function placesOf(rules: readonly JwtRule[]): Place[] {
  const places = new Map<string, Place>();
  for (const { issuer, fromHeaders, fromParams, fromCookies } of rules) {
    const named = [
      ...fromHeaders.map(
        ({ name, prefix }) => ({ kind: "header", name: name.toLowerCase(), prefix }) as const,
      ),
      ...fromParams.map((name) => ({ kind: "param", name, prefix: "" }) as const),
      ...fromCookies.map((name) => ({ kind: "cookie", name, prefix: "" }) as const),
    ];
    for (const place of named.length > 0 ? named : standard) {
      const key = `${order[place.kind]}${place.name}${place.prefix}`;
      const known = places.get(key) ?? { ...place, issuers: new Set<string>() };
      known.issuers.add(issuer);
      places.set(key, known);
    }
  }
  return [...places].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, place]) => place);
}

function tokensAt(place: Place, { headers }: Carrier, query: readonly QueryParameter[]): string[] {
  switch (place.kind) {
    case "header":
      return (headers.get(place.name) ?? []).flatMap((line) => behindPrefix(line, place.prefix) ?? []);
    case "param":
      return query
        .filter(({ name }) => name === place.name)
        .slice(0, 1)
        .map(({ value }) => value);
    case "cookie":
      return cookieValue(headers.get("cookie") ?? [], place.name);
  }
}

/** What stands behind the prefix, wherever that is: from the first character that a token may have. */
function behindPrefix(line: string, prefix: string): string | undefined {
  if (prefix === "") return line;
  const at = line.indexOf(prefix);
  if (at < 0) return undefined;
  const rest = line.slice(at + prefix.length);
  const start = rest.search(/[A-Za-z0-9\-_.]/);
  return start < 0 ? line : rest.slice(start);
}

/** The first cookie of a name; quotes around its value are no part of it. */
function cookieValue(lines: readonly string[], name: string): string[] {
  for (const line of lines) {
    for (const pair of line.split(";")) {
      const equals = pair.indexOf("=");
      if (equals < 0 || pair.slice(0, equals).trimStart() !== name) continue;
      const value = pair.slice(equals + 1);
      return [value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value];
    }
  }
  return [];
}
