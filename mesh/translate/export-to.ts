/**
 * Namespaces whose callers see an object; undefined: all.
 *
 * @param exportTo `*` all, `.` its own, `~` none, else a name; absent or empty means all
 * @see networking.istio.io VirtualService.exportTo, DestinationRule.exportTo; the annotation networking.istio.io/exportTo
 */
export function readExportTo(
  exportTo: readonly string[] | undefined,
  namespace: string,
): readonly string[] | undefined {
  if (exportTo === undefined || exportTo.length === 0 || exportTo.includes("*")) return undefined;
  return exportTo.filter((name) => name !== "~").map((name) => (name === "." ? namespace : name));
}
