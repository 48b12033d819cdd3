import type { Block } from "../../model.ts";
import { addressBytes } from "../address.ts";

interface Node<T> {
  values: T[];
  zero: Node<T> | undefined;
  one: Node<T> | undefined;
}

const node = <T>(): Node<T> => ({ values: [], zero: undefined, one: undefined });

/** Values by address block: a binary tree over the bits of an address, one a family. */
export class CidrTree<T> {
  private readonly roots: Readonly<Record<4 | 16, Node<T>>> = { 4: node(), 16: node() };

  /** The values of exactly this block, to add to or take from. */
  at({ address, length }: Block): T[] {
    const bytes = addressBytes(address) ?? new Uint8Array(4);
    let here = this.roots[bytes.length === 4 ? 4 : 16];
    for (let bit = 0; bit < length; bit += 1) {
      const side = bitAt(bytes, bit) ? "one" : "zero";
      here[side] ??= node();
      here = here[side];
    }
    return here.values;
  }

  /** Calls `visit` with the values of each block that holds the address. */
  visit(address: string, visit: (values: readonly T[]) => void): void {
    const bytes = addressBytes(address);
    if (bytes === undefined) return;
    let here: Node<T> | undefined = this.roots[bytes.length === 4 ? 4 : 16];
    for (let bit = 0; here !== undefined; bit += 1) {
      if (here.values.length > 0) visit(here.values);
      if (bit >= bytes.length * 8) return;
      here = bitAt(bytes, bit) ? here.one : here.zero;
    }
  }
}

function bitAt(bytes: Uint8Array, bit: number): boolean {
  return (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1;
}
