interface Node<T> {
  label: string;
  values: T[];
  readonly children: Map<number, Node<T>>;
}

/** Values by prefix: all whose prefix a text begins with are found in one walk along it. */
export class Radix<T> {
  private readonly root: Node<T> = node("");

  /** The values of exactly this prefix, to add to or take from. */
  at(prefix: string): T[] {
    let here = this.root;
    let from = 0;
    while (from < prefix.length) {
      const next = here.children.get(prefix.charCodeAt(from));
      if (next === undefined) {
        const leaf = node<T>(prefix.slice(from));
        here.children.set(prefix.charCodeAt(from), leaf);
        return leaf.values;
      }
      const shared = sharedLength(next.label, prefix, from);
      if (shared < next.label.length) {
        const middle = node<T>(next.label.slice(0, shared));
        next.label = next.label.slice(shared);
        middle.children.set(next.label.charCodeAt(0), next);
        here.children.set(middle.label.charCodeAt(0), middle);
        here = middle;
      } else here = next;
      from += shared;
    }
    return here.values;
  }

  /** Calls `visit` with the values of each prefix of `text`, shortest first. */
  visit(text: string, visit: (values: readonly T[]) => void): void {
    let here: Node<T> | undefined = this.root;
    let from = 0;
    while (here !== undefined) {
      if (here.values.length > 0) visit(here.values);
      here = from < text.length ? here.children.get(text.charCodeAt(from)) : undefined;
      if (here === undefined || !text.startsWith(here.label, from)) return;
      from += here.label.length;
    }
  }
}

function node<T>(label: string): Node<T> {
  return { label, values: [], children: new Map() };
}

function sharedLength(label: string, text: string, from: number): number {
  let length = 0;
  while (length < label.length && label[length] === text[from + length]) length += 1;
  return length;
}
