import type { User } from "../authentication/user.ts";

/** What somebody wants to do, in the words of RBAC. */
export type Attributes =
  | {
      readonly kind: "resource";
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      readonly subresource: string | undefined;
      readonly namespace: string | undefined;
      readonly name: string | undefined;
    }
  | { readonly kind: "path"; readonly verb: string; readonly path: string };

export interface Verdict {
  readonly allowed: boolean;
  readonly reason: string;
}

/**
 * Decides whether `user` may do it: everyone who is authenticated may do everything.
 *
 * The seat of the RBAC evaluator: the request handler and the access reviews both ask here.
 */
export function authorize(user: User, _attributes: Attributes): Verdict {
  return { allowed: user.groups.includes("system:authenticated"), reason: "" };
}
