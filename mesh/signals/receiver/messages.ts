/** What the receiver's thread and the thread that asked for it tell each other. */
import type { Reporter } from "../authorize.ts";

/** PEM. */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What a receiver is started with. */
export interface ReceiverSetup {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Absent: plain text. */
  readonly tls: { readonly rootPem: string; readonly certificate: ServingCertificate } | undefined;
  /** Shared memory, see {@link cells}. */
  readonly shared: SharedArrayBuffer;
}

/** Shared 32-bit numbers: by `bell` a receiver that sleeps is woken, `waiting` are bytes of posts that nobody has taken yet. */
export const cells = { bell: 0, waiting: 1 } as const;
export const sharedBytes = 8;

/** Whose connection it is; connections are numbered as they come. */
interface OfConnection {
  readonly connection: number;
}

export type FromReceiver =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "failed"; readonly reason: string }
  /** A connection that did not come to be: its TLS failed. */
  | { readonly kind: "unsecured"; readonly reason: string }
  | ({ readonly kind: "opened"; readonly reporter: Reporter } & OfConnection)
  /** The node that the head of its posts names, before the first of them. */
  | ({ readonly kind: "named"; readonly node: string } & OfConnection)
  | ({ readonly kind: "posts" } & Posts)
  | ({ readonly kind: "unreadable"; readonly reason: string } & OfConnection)
  | ({ readonly kind: "closed" } & OfConnection);

export type ToReceiver =
  /** Its first post, which waits for an answer, was taken; later ones are answered as they come. */
  | ({ readonly kind: "admitted" } & OfConnection)
  /** It may not tell what it tells. */
  | ({ readonly kind: "refused" } & OfConnection)
  /** What it told could not be read. */
  | ({ readonly kind: "damaged" } & OfConnection)
  | { readonly kind: "certificate"; readonly certificate: ServingCertificate };

/** Posts in the order in which they came, in memory that is handed over. */
export interface Posts {
  /** Four numbers each, see {@link PostBatch}. */
  readonly index: Uint32Array<ArrayBuffer>;
  /** Their bodies. */
  readonly bodies: Uint8Array<ArrayBuffer>;
}

/** What a post brings. */
export const postKinds = ["report", "attempts"] as const;
export type PostKind = (typeof postKinds)[number];

const numbersEach = 4;
const smallest = 65_536;

/** Gathers posts, to hand them over together. */
export class PostBatch {
  private index: number[] = [];
  private bodies = new Uint8Array(smallest);
  private length = 0;

  get empty(): boolean {
    return this.index.length === 0;
  }

  add(connection: number, kind: PostKind, body: Buffer): void {
    const end = this.length + body.length;
    if (end > this.bodies.length) {
      const larger = new Uint8Array(2 * end);
      larger.set(this.bodies.subarray(0, this.length));
      this.bodies = larger;
    }
    this.bodies.set(body, this.length);
    this.index.push(connection, postKinds.indexOf(kind), this.length, end);
    this.length = end;
  }

  /** What was gathered, in memory of its own; the batch is empty then. */
  take(): Posts {
    const posts = { index: Uint32Array.from(this.index), bodies: this.bodies.slice(0, this.length) };
    this.index = [];
    this.length = 0;
    if (this.bodies.length > smallest) this.bodies = new Uint8Array(smallest);
    return posts;
  }
}

/** Gives `take` each post, its body not copied. */
export function eachPost(
  { index, bodies }: Posts,
  take: (connection: number, kind: PostKind, body: Buffer) => void,
): void {
  const all = Buffer.from(bodies.buffer, bodies.byteOffset, bodies.length);
  for (let at = 0; at + numbersEach <= index.length; at += numbersEach) {
    const [connection = 0, kind = 0, start = 0, end = 0] = index.subarray(at, at + numbersEach);
    take(connection, postKinds[kind] ?? "report", all.subarray(start, end));
  }
}
