/** `url()`, `isURL()` and what can be asked of a URL. */
import { type CelFunc, CelScalar, celFunc, celMethod, mapType } from "@bufbuild/cel";
import { opaque, textOf } from "../opaque.ts";

const { BOOL, DYN, STRING } = CelScalar;

/** As Go's url.ParseRequestURI: absolute, or a path from the root. */
function parse(text: string): URL | undefined {
  if (/[\s\0]/.test(text) || !/^([a-zA-Z][a-zA-Z0-9+.-]*:|\/)/.test(text)) return undefined;
  try {
    return text.startsWith("/") ? new URL(text, "none://") : new URL(text);
  } catch {
    return undefined;
  }
}

function read(text: string): URL {
  const url = parse(text);
  if (url === undefined) throw new Error(`URL parse error during conversion from string: ${text}`);
  return url;
}

const ask = (name: string, answer: (url: URL) => string): CelFunc =>
  celMethod(name, DYN, [], STRING, function () {
    return answer(read(textOf(this, "url")));
  });

/** @see k8s.io/apiserver/pkg/cel/library/urls.go */
export const urlFunctions: readonly CelFunc[] = [
  celFunc("isURL", [STRING], BOOL, (text) => parse(text) !== undefined),
  celFunc("url", [STRING], DYN, (text) => {
    read(text);
    return opaque("url", text);
  }),
  ask("getScheme", ({ protocol }) => (protocol === "none:" ? "" : protocol.slice(0, -1))),
  ask("getHost", ({ host }) => host),
  ask("getHostname", ({ hostname }) => hostname.replace(/^\[|\]$/g, "")),
  ask("getPort", ({ port }) => port),
  ask("getEscapedPath", ({ pathname }) => pathname),
  celMethod("getQuery", DYN, [], mapType(STRING, DYN), function () {
    const { searchParams } = read(textOf(this, "url"));
    return new Map([...new Set(searchParams.keys())].map((name) => [name, searchParams.getAll(name)]));
  }),
];
