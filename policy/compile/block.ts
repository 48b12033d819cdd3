import { isIP } from "node:net";
import type { Block } from "../model.ts";

/** Reads `10.0.0.0/8`, `10.0.0.7` or the like of IPv6; undefined where it is neither. */
export function readBlock(text: string): Block | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0 || (length !== undefined && address.includes("%"))) return undefined;
  const most = family === 4 ? 32 : 128;
  if (length === undefined) return { address, length: most };
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > most) return undefined;
  return { address, length: Number(length) };
}
