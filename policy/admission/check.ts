import { AuthorizationPolicyKind, RequestAuthenticationKind } from "../../api/kinds.ts";
import { read } from "../../api/read.ts";
import type { KubeObject, Problem } from "../../api/resource.ts";
import { checkAuthentication } from "./authentication.ts";
import { checkAuthorization } from "./authorization.ts";

/**
 * What is wrong with a policy object that is about to be stored: by its schema, then by what it means. An object of
 * another kind has nothing wrong with it here.
 */
export function checkPolicy(object: KubeObject): readonly Problem[] {
  switch (object.kind) {
    case AuthorizationPolicyKind.kind: {
      const { value, problems } = read(AuthorizationPolicyKind, object);
      return value ? [...problems, ...checkAuthorization(value)] : problems;
    }
    case RequestAuthenticationKind.kind: {
      const { value, problems } = read(RequestAuthenticationKind, object);
      return value ? [...problems, ...checkAuthentication(value)] : problems;
    }
    default:
      return [];
  }
}
