export interface QueryParameter {
  readonly name: string;
  /** Decoded. */
  readonly value: string;
}

/** The parameters of a path's query, in their order. */
export function readQuery(path: string): QueryParameter[] {
  return rawParameters(path).map(([name, value]) => ({ name: decode(name), value: decode(value) }));
}

/** A path without its parameters of one name. */
export function dropParameter(path: string, dropped: string): string {
  const at = path.indexOf("?");
  if (at < 0) return path;
  const kept = readQuery(path).filter(({ name }) => name !== dropped);
  const query = kept.map(({ name, value }) => `${encode(name)}=${encode(value)}`).join("&");
  return query === "" ? path.slice(0, at) : `${path.slice(0, at)}?${query}`;
}

function rawParameters(path: string): [string, string][] {
  const at = path.indexOf("?");
  if (at < 0) return [];
  return path
    .slice(at + 1)
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
    });
}

function decode(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** What may not stand in a query as it is becomes a percent code. */
function encode(text: string): string {
  return text.replace(
    /[^A-Za-z0-9\-._~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
