import { isIP, isIPv4, isIPv6 } from "node:net";

const checks: Readonly<Record<string, (text: string) => boolean>> = {
  "date-time": (text) =>
    /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(Date.parse(text)),
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  ipv4: isIPv4,
  ipv6: isIPv6,
  cidr: (text) => {
    const [address = "", bits = ""] = text.split("/");
    return isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128);
  },
  uuid: (text) =>
    /^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$/.test(text),
  byte: (text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  uri: (text) => URL.canParse(text) || text.startsWith("/"),
  email: (text) => /^[^\s@]+@[^\s@]+$/.test(text),
};

/** What is wrong with `text` as this OpenAPI format; undefined where it fits or the format is not known. */
export function formatFault(text: string, format: string): string | undefined {
  const check = Object.hasOwn(checks, format) ? checks[format] : undefined;
  return check === undefined || check(text)
    ? undefined
    : `must be of type ${format}: ${JSON.stringify(text)}`;
}
