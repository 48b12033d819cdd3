import type { Client } from "../../kube/contract.ts";

const lifetime = 3600;
/** Asked for again when so many seconds are left. */
const margin = 600;

/**
 * Tokens of a service account, made as they are needed.
 *
 * @param account `namespace/name`
 * @throws Error where it is not of that form
 */
export function accountToken(client: Client, account: string): () => Promise<string> {
  const [namespace, name, more] = account.split("/");
  if (!namespace || !name || more !== undefined)
    throw new Error(
      `--account \`${account}\`: say a namespace and a name, such as \`istio-system/fairlead\``,
    );
  let held: { readonly token: string; readonly until: number } | undefined;
  return async () => {
    if (held !== undefined && Date.now() < held.until) return held.token;
    const answer = await client.request<{ status?: { token?: string } }>(
      "POST",
      `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
      { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: lifetime } },
    );
    const token = answer.status?.token ?? "";
    held = { token, until: Date.now() + (lifetime - margin) * 1000 };
    return token;
  };
}
