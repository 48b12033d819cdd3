import type { Clock } from "../../lib/clock.ts";
import type { KeySource, KeysOf } from "../compile/authentication.ts";
import { readKeySet } from "../jwt/key-set.ts";
import { FetchError } from "./fetch.ts";

export interface KeyStoreOptions {
  readonly clock: Clock;
  /** Fetches a document, e.g. `fetchDocument`; timeout in milliseconds. */
  readonly fetch: (uri: string, timeout: number) => Promise<string>;
  /** Called when what `keysOf` says of a source has changed. */
  readonly onChange: () => void;
  /** Milliseconds between two fetches of keys that came well; Istio's 20 minutes by default. */
  readonly refresh?: number;
}

interface Held {
  readonly source: KeySource;
  jwks: string | undefined;
  problem: string | undefined;
  failures: number;
  cancel: () => void;
  /** The first fetch, ended well or not. */
  first: Promise<void>;
}

const twentyMinutes = 20 * 60_000;
const firstRetry = 1000;
const longestRetry = 60_000;

/**
 * The key sets of all issuers whose keys are fetched, kept fresh: fetched when first wanted, again before anybody would
 * miss a new key, and after a failure soon, then less often.
 *
 * A fetch that fails keeps the last good keys and is told in words. An issuer whose keys never came has none, so its
 * tokens are refused; no key is ever made up.
 */
export class KeyStore {
  private readonly held = new Map<string, Held>();
  private readonly options: KeyStoreOptions;
  private closed = false;
  /** Another number when what `keysOf` says has changed. */
  version = 0;

  constructor(options: KeyStoreOptions) {
    this.options = options;
  }

  /** Says which sources are in use: new ones are fetched, others forgotten. */
  want(sources: readonly KeySource[]): void {
    const wanted = new Map(sources.map((source) => [keyOf(source), source]));
    for (const [key, { cancel }] of this.held) {
      if (wanted.has(key)) continue;
      cancel();
      this.held.delete(key);
    }
    for (const [key, source] of wanted) {
      if (this.held.has(key)) continue;
      const held: Held = {
        source,
        jwks: undefined,
        problem: undefined,
        failures: 0,
        cancel: () => undefined,
        first: Promise.resolve(),
      };
      this.held.set(key, held);
      held.first = this.renew(key, held);
    }
  }

  readonly keysOf: KeysOf = (source) => {
    const held = this.held.get(keyOf(source));
    if (held === undefined) return undefined;
    const { jwks, problem = "its keys were not fetched yet" } = held;
    if (jwks === undefined) return { problem };
    return { jwks, ...(held.problem !== undefined && { problem: held.problem }) };
  };

  /** Resolves when each source that is wanted was fetched once, well or not. */
  async settled(): Promise<void> {
    await Promise.all([...this.held.values()].map(({ first }) => first));
  }

  close(): void {
    this.closed = true;
    for (const { cancel } of this.held.values()) cancel();
    this.held.clear();
  }

  private async renew(key: string, held: Held): Promise<void> {
    const { clock, onChange, refresh = twentyMinutes } = this.options;
    const before = [held.jwks, held.problem];
    try {
      held.jwks = await this.fetchKeys(held.source);
      held.problem = undefined;
      held.failures = 0;
    } catch (error) {
      held.failures += 1;
      held.problem = error instanceof FetchError ? error.message : "its keys cannot be read";
    }
    if (this.closed || this.held.get(key) !== held) return;
    const backoff = Math.min(firstRetry * 2 ** (held.failures - 1), longestRetry);
    // Not all at once: each waits up to a tenth less.
    const wait = (held.failures === 0 ? refresh : backoff) * (1 - Math.random() / 10);
    held.cancel = clock.after(wait, () => void this.renew(key, held));
    if (held.jwks === before[0] && held.problem === before[1]) return;
    this.version += 1;
    onChange();
  }

  private async fetchKeys({ uri, issuer, timeout }: KeySource): Promise<string> {
    const jwks = publicPart(await this.options.fetch(uri ?? (await this.discover(issuer, timeout)), timeout));
    if (jwks === undefined || readKeySet(jwks) === undefined)
      throw new FetchError("is no key set (RFC 7517) with a key that can be used");
    return jwks;
  }

  /** @see OpenID Connect Discovery 1.0, 4 */
  private async discover(issuer: string, timeout: number): Promise<string> {
    const at = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const document: unknown = parse(await this.options.fetch(at, timeout));
    const uri =
      typeof document === "object" && document !== null ? Reflect.get(document, "jwks_uri") : undefined;
    if (typeof uri !== "string") throw new FetchError("its discovery document names no `jwks_uri`");
    return uri;
  }
}

/** Members of private keys (RFC 7518, 6): an issuer that publishes them by mistake is not repeated. */
const secrets = new Set(["d", "p", "q", "dp", "dq", "qi", "oth"]);

/** A key set without private parts; undefined where it is none. */
function publicPart(text: string): string | undefined {
  try {
    const set: unknown = JSON.parse(text);
    if (typeof set !== "object" || set === null) return undefined;
    return JSON.stringify(set, (name, value: unknown) => (secrets.has(name) ? undefined : value));
  } catch {
    return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new FetchError("its discovery document is no JSON");
  }
}

function keyOf({ issuer, uri, timeout }: KeySource): string {
  return JSON.stringify(uri === undefined ? ["discovery", issuer, timeout] : ["uri", uri, timeout]);
}
