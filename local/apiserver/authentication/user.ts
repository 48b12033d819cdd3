/** Who sends a request, as authentication found out. */
export interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Who comes without credentials. */
export const anonymous: User = { username: "system:anonymous", groups: ["system:unauthenticated"] };

/** The server itself: for what its own life cycles write. */
export const systemUser: User = {
  username: "system:apiserver",
  groups: ["system:masters", "system:authenticated"],
};
