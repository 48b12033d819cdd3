import { isIPv4, isIPv6 } from "node:net";
import type { Block } from "../model.ts";

/** An address as big-endian bytes; undefined where it is none. */
export function addressBytes(address: string): Uint8Array | undefined {
  if (isIPv4(address)) return Uint8Array.from(address.split("."), Number);
  if (!isIPv6(address)) return undefined;
  const [bare = ""] = address.split("%");
  const quad = /(^|:)(\d+\.\d+\.\d+\.\d+)$/.exec(bare)?.[2];
  const text = quad === undefined ? bare : bare.slice(0, -quad.length) + hexOfQuad(quad);
  const [head = "", tail] = text.split("::");
  const words = (part: string | undefined) => (part ? part.split(":") : []);
  const left = words(head);
  const right = words(tail);
  const middle = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => "0");
  return Uint8Array.from(
    [...left, ...middle, ...right].flatMap((word) => {
      const value = Number.parseInt(word, 16);
      return [value >> 8, value & 255];
    }),
  );
}

function hexOfQuad(quad: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = quad.split(".").map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/** Whether an address lies in a block; addresses of another family never do. */
export function inBlock(block: Block): (address: string) => boolean {
  const wanted = addressBytes(block.address);
  const whole = block.length >> 3;
  const rest = block.length & 7;
  return (address) => {
    const bytes = addressBytes(address);
    if (wanted === undefined || bytes?.length !== wanted.length) return false;
    for (let index = 0; index < whole; index += 1) if (bytes[index] !== wanted[index]) return false;
    if (rest === 0) return true;
    const shift = 8 - rest;
    return (bytes[whole] ?? 0) >> shift === (wanted[whole] ?? 0) >> shift;
  };
}
