import type { Client } from "../../../kube/contract.ts";
import type { Clock } from "../../../lib/clock.ts";
import { authenticate } from "../../ca/authenticate.ts";
import { signalsAudience } from "./protocol.ts";

/** How long a reviewed token is taken without asking again, milliseconds: cuts and streams come often. */
const remember = 60_000;

/**
 * Lets in the controllers of these service accounts (`namespace/name`), by a token for audience `fairlead-mesh`.
 *
 * @returns rejects with what is wrong, in words without the token
 */
export function admitControllers(
  accounts: readonly string[],
  {
    client,
    clock,
    trustDomain,
  }: { readonly client: Client; readonly clock: Clock; readonly trustDomain: string },
): (authorization: string) => Promise<void> {
  const accepted = new Map<string, number>();
  return async (authorization) => {
    const now = clock.monotonic();
    const until = accepted.get(authorization);
    if (until !== undefined && now < until) return;
    const { identity } = await authenticate(
      { authorization },
      { client, trustDomain, audience: signalsAudience },
    );
    const account = `${identity.namespace}/${identity.serviceAccount}`;
    if (!accounts.includes(account))
      throw new Error(
        `service account \`${account}\` is no controller; the mesh takes ${accounts.join(", ")}`,
      );
    for (const [key, end] of accepted) if (now >= end) accepted.delete(key);
    accepted.set(authorization, now + remember);
  };
}
