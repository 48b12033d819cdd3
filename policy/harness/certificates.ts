/** A certificate chain and its key, PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What a client's certificate says of it. */
export interface PeerNames {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  /** Such as `O=shop,CN=web`. */
  readonly subject: string;
}

/** An authority of a test run; the mesh's own signs with what the caller gives. */
export interface Certificates {
  /** PEM. */
  readonly root: string;
  issue(names: PeerNames): Certificate;
}
