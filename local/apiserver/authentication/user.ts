/** Who sends a request, as authentication found out. */
export interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** The server itself: for what its own life cycles write. */
export const systemUser: User = {
  username: "system:apiserver",
  groups: ["system:masters", "system:authenticated"],
};
