import type { Pod } from "../../../api/core.ts";
import type { Client } from "../../../kube/contract.ts";
import type { Clock } from "../../../lib/clock.ts";
import type { Volume } from "../container.ts";

interface Token {
  readonly text: string;
  /** Epoch milliseconds after which another is asked for: 80 % of its life. */
  readonly renewAt: number;
}

interface TokenRequestAnswer {
  readonly status?: { readonly token?: string; readonly expirationTimestamp?: string };
}

/** The service-account tokens of one pod, one for each audience and life that its volumes ask for. */
export class PodTokens {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #tokens = new Map<string, Token>();

  constructor(client: Client, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /**
   * Asks for the tokens that the pod's volumes need and that are missing or due, bound to the pod.
   *
   * @returns when to call again, epoch milliseconds; undefined where the pod has no token
   * @throws ApiError as the API server answers
   */
  async refresh(pod: Pod): Promise<number | undefined> {
    for (const { audience, expirationSeconds } of tokenSources(pod.spec?.volumes ?? [])) {
      const key = keyOf(audience, expirationSeconds);
      const held = this.#tokens.get(key);
      if (held && held.renewAt > this.#clock.now()) continue;
      this.#tokens.set(key, await this.#ask(pod, audience, expirationSeconds ?? 3600));
    }
    const due = [...this.#tokens.values()].map(({ renewAt }) => renewAt);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  token(audience: string | undefined, expirationSeconds: number | undefined): string {
    return this.#tokens.get(keyOf(audience, expirationSeconds))?.text ?? "";
  }

  async #ask(pod: Pod, audience: string | undefined, expirationSeconds: number): Promise<Token> {
    const { name, namespace = "default", uid } = pod.metadata;
    const account = pod.spec?.serviceAccountName || "default";
    const answer = await this.#client.request<TokenRequestAnswer>(
      "POST",
      `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: {
          audiences: audience ? [audience] : [],
          expirationSeconds,
          boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
        },
      },
    );
    const now = this.#clock.now();
    const expiry = Date.parse(answer.status?.expirationTimestamp ?? "");
    const life = Number.isFinite(expiry) ? expiry - now : expirationSeconds * 1000;
    return { text: answer.status?.token ?? "", renewAt: now + Math.max(life * 0.8, 1000) };
  }
}

function tokenSources(volumes: readonly Volume[]) {
  const sources = volumes.flatMap(({ projected }) => projected?.sources ?? []);
  return sources.flatMap(({ serviceAccountToken }) => serviceAccountToken ?? []);
}

function keyOf(audience = "", expirationSeconds = 3600): string {
  return `${expirationSeconds}/${audience}`;
}
