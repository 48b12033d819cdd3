/**
 * A claim as the text of a header, as Envoy writes it: dots lead into objects, whole numbers stand without a fraction,
 * others with six digits, lists and objects as base64 of their JSON. Undefined where there is nothing to write.
 */
export function claimHeader(claims: Readonly<Record<string, unknown>>, path: string): string | undefined {
  let value: unknown = claims;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  switch (typeof value) {
    case "string":
      return value === "" ? undefined : value;
    case "number":
      return numberText(value);
    case "boolean":
      return String(value);
    default:
      return value === null || value === undefined
        ? undefined
        : Buffer.from(JSON.stringify(value)).toString("base64");
  }
}

function numberText(value: number): string {
  if (value >= 0 && value < 2 ** 64 && Number.isInteger(value)) return BigInt(value).toString();
  return Number.isInteger(value) ? `${BigInt(value)}.000000` : value.toFixed(6);
}
