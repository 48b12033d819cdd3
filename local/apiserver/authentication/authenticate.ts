import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import type { Store } from "../storage/store.ts";
import { issuer, type TokenClaims, type Tokens } from "./tokens.ts";
import type { User } from "./user.ts";

/** Finds out who sends a request: by client certificate (CN is the name, O the groups) or bearer token. */
export class Authenticator {
  readonly #store: Store;
  readonly #tokens: Tokens;
  readonly #now: () => number;
  readonly #byConnection = new WeakMap<TLSSocket, User | "none">();
  readonly #verified = new Map<string, TokenClaims>();

  constructor(store: Store, tokens: Tokens, now: () => number) {
    this.#store = store;
    this.#tokens = tokens;
    this.#now = now;
  }

  /** undefined for a request without credentials; `invalid` for a token that is worth nothing (any more). */
  async authenticate(request: IncomingMessage): Promise<User | undefined | "invalid"> {
    const certified = this.#byCertificate(request);
    if (certified !== undefined) return certified;
    const token = /^bearer\s+(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (token === undefined) return undefined;
    return (await this.review(token, [issuer]))?.user ?? "invalid";
  }

  /**
   * What TokenReview answers: the user, and those of `audiences` that the token is meant for.
   * undefined where the token is not ours, expired, for others, or its service account or pod is gone.
   */
  async review(
    token: string,
    audiences: readonly string[],
  ): Promise<{ user: User; audiences: string[] } | undefined> {
    const claims = await this.#claims(token);
    if (claims === undefined) return undefined;
    const meant = audiences.filter((audience) => claims.audiences.includes(audience));
    if (meant.length === 0 || !this.#stillBound(claims)) return undefined;
    return { user: serviceAccountUser(claims), audiences: meant };
  }

  #byCertificate(request: IncomingMessage): User | undefined {
    const { socket } = request;
    if (!(socket instanceof TLSSocket)) return undefined;
    const known = this.#byConnection.get(socket);
    if (known !== undefined) return known === "none" ? undefined : known;
    const user = socket.authorized ? certificateUser(socket) : undefined;
    this.#byConnection.set(socket, user ?? "none");
    return user;
  }

  async #claims(token: string): Promise<TokenClaims | undefined> {
    const now = this.#now();
    const known = this.#verified.get(token);
    if (known !== undefined && known.expiresAt > now) return known;
    this.#verified.delete(token);
    const claims = await this.#tokens.verify(token, now);
    if (claims === undefined) return undefined;
    // Signatures are checked once; the oldest are forgotten first.
    if (this.#verified.size >= 1000) {
      const [oldest] = this.#verified.keys();
      if (oldest !== undefined) this.#verified.delete(oldest);
    }
    this.#verified.set(token, claims);
    return claims;
  }

  #stillBound({ namespace, serviceAccount, bound }: TokenClaims): boolean {
    const account = this.#store.get("serviceaccounts", namespace, serviceAccount.name);
    if (account?.object.metadata.uid !== serviceAccount.uid) return false;
    if (bound === undefined) return true;
    const holder = this.#store.get(
      `${bound.kind.toLowerCase()}s`,
      bound.kind === "Node" ? undefined : namespace,
      bound.name,
    );
    return holder?.object.metadata.uid === bound.uid;
  }
}

function certificateUser(socket: TLSSocket): User | undefined {
  const { subject } = socket.getPeerCertificate();
  if (subject?.CN === undefined) return undefined;
  const organizations: unknown = subject.O;
  // One organization is a text, several are a list.
  const groups = (Array.isArray(organizations) ? organizations : [organizations]).filter(
    (name) => typeof name === "string",
  );
  return { username: String(subject.CN), groups: [...groups, "system:authenticated"] };
}

function serviceAccountUser({ namespace, serviceAccount, bound, id }: TokenClaims): User {
  const extra: Record<string, string[]> = { "authentication.kubernetes.io/credential-id": [`JTI=${id}`] };
  if (bound?.kind === "Pod") {
    extra["authentication.kubernetes.io/pod-name"] = [bound.name];
    extra["authentication.kubernetes.io/pod-uid"] = [bound.uid];
  }
  return {
    username: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    uid: serviceAccount.uid,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
    extra,
  };
}
