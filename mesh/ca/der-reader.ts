/**
 * Reads DER by slices: what is checked is the very bytes that were signed, and nothing is built from the rest.
 *
 * Iterative and bounded, because the input comes from anybody who can open a connection: neither depth nor size
 * makes it slow (CVE-2025-12816, CVE-2025-66030 and CVE-2025-66031 were of this kind in a general parser).
 */

/** One element inside the bytes that were read. */
export interface Element {
  readonly tag: number;
  /** Tag, length and content. */
  readonly whole: Buffer;
  readonly content: Buffer;
}

const deepest = 16;
const mostElements = 500;
/** An arc of more than 28 bits is not in any registered identifier that matters here. */
const longestArc = 4;

/**
 * Reads the element at the start of `bytes`.
 *
 * @throws RangeError where tag or length are not DER, or the content is cut short
 */
export function readElement(bytes: Buffer): Element {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) throw new RangeError("der ends inside a header");
  if ((tag & 0x1f) === 0x1f) throw new RangeError("der has a tag of several octets");
  if (first < 0x80) return cut(bytes, tag, 2, first);
  const octets = first & 0x7f;
  if (octets === 0 || octets > 3) throw new RangeError("der has an indefinite or oversized length");
  if (bytes.length < 2 + octets) throw new RangeError("der ends inside a length");
  const length = bytes.readUIntBE(2, octets);
  if (length < 0x80 || length < 256 ** (octets - 1))
    throw new RangeError("der has a length that is not minimal");
  return cut(bytes, tag, 2 + octets, length);
}

function cut(bytes: Buffer, tag: number, header: number, length: number): Element {
  if (bytes.length < header + length) throw new RangeError("der ends inside a value");
  return { tag, whole: bytes.subarray(0, header + length), content: bytes.subarray(header, header + length) };
}

/** The elements of a constructed element's content, one level deep. */
export function readElements(content: Buffer): Element[] {
  const elements: Element[] = [];
  for (let rest = content; rest.length > 0; ) {
    if (elements.length === mostElements) throw new RangeError("der has too many elements");
    const next = readElement(rest);
    elements.push(next);
    rest = rest.subarray(next.whole.length);
  }
  return elements;
}

/**
 * Checks that `bytes` are exactly one well-formed element, through all its levels.
 *
 * @throws RangeError where they are not, or are deeper or longer than anything of ours can be
 */
export function checkWellFormed(bytes: Buffer): Element {
  const root = readElement(bytes);
  if (root.whole.length !== bytes.length) throw new RangeError("der is followed by other bytes");
  const open: { readonly element: Element; readonly depth: number }[] = [{ element: root, depth: 1 }];
  let seen = 0;
  for (let next = open.pop(); next; next = open.pop()) {
    seen += 1;
    if (seen > mostElements) throw new RangeError("der has too many elements");
    if (next.depth > deepest) throw new RangeError("der is nested too deep");
    const { tag, content } = next.element;
    if (tag === 0x06) checkArcs(content);
    if ((tag & 0x20) === 0) continue;
    for (const element of readElements(content)) open.push({ element, depth: next.depth + 1 });
  }
  return root;
}

function checkArcs(content: Buffer): void {
  let octets = 0;
  for (const octet of content) {
    octets += 1;
    if (octets > longestArc) throw new RangeError("der has an oversized object identifier");
    if ((octet & 0x80) === 0) octets = 0;
  }
  if (content.length === 0 || octets !== 0) throw new RangeError("der has a broken object identifier");
}
