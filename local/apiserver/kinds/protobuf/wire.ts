/** One field of a protobuf message as it stands on the wire. */
export interface WireField {
  readonly number: number;
  /** Varints as 64-bit two's complement, `fixed64` as its eight bytes. */
  readonly value: bigint | Buffer;
}

/** What is no protobuf message. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/**
 * Reads the fields of a message, in their order.
 *
 * @throws WireError where it ends in the middle of a field, or has a group
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export function* readFields(message: Buffer): Generator<WireField> {
  let offset = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[offset];
      if (byte === undefined) throw new WireError("a number is cut off");
      offset += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new WireError("a number has more than ten bytes");
  };
  const bytes = (length: number): Buffer => {
    if (length > message.length - offset) throw new WireError("a field is cut off");
    offset += length;
    return message.subarray(offset - length, offset);
  };
  while (offset < message.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        yield { number, value: varint() };
        break;
      case 1:
        yield { number, value: bytes(8) };
        break;
      case 2:
        yield { number, value: bytes(Number(varint())) };
        break;
      case 5:
        yield { number, value: bytes(4) };
        break;
      default:
        throw new WireError(`wire type ${tag & 7} is not known`);
    }
  }
}

/** The varints of a packed list. */
export function readPacked(packed: Buffer): bigint[] {
  // As fields of number 1, one tag before each.
  const values: bigint[] = [];
  let start = 0;
  for (const [index, byte] of packed.entries()) {
    if (byte >= 0x80) continue;
    const field = Buffer.concat([Buffer.from([8]), packed.subarray(start, index + 1)]);
    for (const { value } of readFields(field)) if (typeof value === "bigint") values.push(value);
    start = index + 1;
  }
  return values;
}
