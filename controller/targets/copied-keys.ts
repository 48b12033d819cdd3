/** Labels or annotations of a target that are copied: keys that begin with one of `prefixes` (`*` = all), never Flux's own. */
export function copiedKeys(
  map: Readonly<Record<string, string>> | undefined,
  prefixes: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(map ?? {}).filter(
      ([key]) =>
        !key.includes("toolkit.fluxcd.io") &&
        prefixes.some((prefix) => prefix === "*" || key.startsWith(prefix)),
    ),
  );
}
