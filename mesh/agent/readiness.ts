import type { EnvoyAdmin } from "./admin.ts";

const filter =
  "^(cluster_manager\\.cds\\.update_success|listener_manager\\.(lds\\.update_success|workers_started)|server\\.state)$";

/**
 * Why a proxy is not ready yet, or undefined where it is: clusters and listeners accepted once, workers started,
 * state LIVE.
 */
export function whyNotReady(numbers: ReadonlyMap<string, number>): string | undefined {
  if (!numbers.get("cluster_manager.cds.update_success")) return "no clusters from the control plane yet";
  if (!numbers.get("listener_manager.lds.update_success")) return "no listeners from the control plane yet";
  if (numbers.get("listener_manager.workers_started") !== 1) return "envoy's workers have not started";
  if (numbers.get("server.state") !== 0) return "envoy is not live";
  return undefined;
}

/** Asks Envoy's statistics until it was ready once, then only whether it is live: the kubelet asks every second. */
export class Readiness {
  readonly #admin: EnvoyAdmin;
  #wasReady = false;

  constructor(admin: EnvoyAdmin) {
    this.#admin = admin;
  }

  /** After a restart of Envoy it must prove itself again. */
  reset(): void {
    this.#wasReady = false;
  }

  /** undefined: ready; else one line that says why not. */
  async check(): Promise<string | undefined> {
    try {
      if (this.#wasReady) {
        const { status, body } = await this.#admin.get("/ready");
        return status === 200 ? undefined : `envoy is ${body.trim().toLowerCase()}`;
      }
      const reason = whyNotReady(await this.#admin.numbers(filter));
      this.#wasReady = reason === undefined;
      return reason;
    } catch {
      return "envoy does not answer";
    }
  }
}
