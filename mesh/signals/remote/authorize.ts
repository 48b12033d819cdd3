import type { Client } from "../../../kube/contract.ts";
import { isTransient } from "../../../kube/error.ts";
import type { Clock } from "../../../lib/clock.ts";
import { authenticate } from "../../ca/authenticate.ts";
import { signalsAudience } from "./protocol.ts";

/** How long a reviewed token is taken without asking again, milliseconds: cuts and streams come often. */
const remember = 60_000;
/** How long it is taken while the API server does not answer; tokens live an hour. */
const longestUnreviewed = 3_600_000;

/**
 * Lets in the controllers of these service accounts (`namespace/name`), by a token for audience `fairlead-mesh`.
 *
 * A token that was accepted counts on while the API server cannot be asked.
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
    const at = accepted.get(authorization);
    if (at !== undefined && now < at + remember) return;
    const account = await accountOf(authorization).catch((error: unknown) => {
      // While nobody can review tokens a known controller must be able to cut its canary off.
      if (isTransient(error) && at !== undefined && now < at + longestUnreviewed) return undefined;
      throw error;
    });
    if (account === undefined) return;
    if (!accounts.includes(account))
      throw new Error(
        `service account \`${account}\` is no controller; the mesh takes ${accounts.join(", ")}`,
      );
    for (const [key, since] of accepted) if (now >= since + longestUnreviewed) accepted.delete(key);
    accepted.set(authorization, now);
  };

  async function accountOf(authorization: string): Promise<string> {
    const { identity } = await authenticate(
      { authorization },
      { client, trustDomain, audience: signalsAudience },
    );
    return `${identity.namespace}/${identity.serviceAccount}`;
  }
}
