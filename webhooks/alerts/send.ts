import { Agent, type Dispatcher, ProxyAgent, request } from "undici";
import type { Alert, AlertReceiver, Severity } from "../../api/hooks.ts";
import type { AlertProvider } from "../../api/kinds.ts";
import type { AddressGuard } from "../../lib/address-guard.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { redact } from "../../lib/redaction.ts";
import { alertRequest, type Destination } from "./message.ts";

export interface AlertsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly guard: AddressGuard;
  /** An AlertProvider; undefined where it does not exist. */
  readonly provider: (namespace: string, name: string) => AlertProvider | undefined;
  /** A Secret's values as text, of the AlertProvider's namespace. */
  readonly secret: (namespace: string, name: string) => ReadonlyMap<string, string> | undefined;
  /** Who is told of canaries that name no receiver. */
  readonly fallback?: Destination & { readonly severity: Severity };
}

export interface Alerts {
  /** Sends in the background. Never throws. */
  send(alert: Alert): void;
  close(): Promise<void>;
}

/** Milliseconds for one attempt, as Flagger's. */
const timeout = 5000;
/** Waits before the second and the third attempt. */
const pauses: readonly number[] = [1000, 5000];
/** Alerts that wait for one receiver; beyond it the oldest is dropped. */
const mostWaiting = 100;
const ranks: Readonly<Record<Severity, number>> = { info: 0, warn: 1, error: 2 };

/**
 * Sends alerts, one after the other to each receiver, three attempts each.
 *
 * A receiver that is dead delays its own alerts only.
 */
export function createAlerts(options: AlertsOptions): Alerts {
  const { logger, guard, fallback } = options;
  const direct = new Agent({ connect: { lookup: guard.lookup } });
  const proxies = new Map<string, ProxyAgent>();
  const waiting = new Map<string, Alert[]>();
  const stop = new AbortController();

  function enqueue(receiver: string, alert: Alert, find: () => Found | string): void {
    const queue = waiting.get(receiver);
    if (queue === undefined) {
      const fresh = [alert];
      waiting.set(receiver, fresh);
      void drain(receiver, fresh, find);
      return;
    }
    if (queue.length >= mostWaiting) queue.shift();
    queue.push(alert);
  }

  async function drain(receiver: string, queue: Alert[], find: () => Found | string): Promise<void> {
    for (let alert = queue.shift(); alert !== undefined && !stop.signal.aborted; alert = queue.shift()) {
      const why = await deliver(alert, find);
      if (why !== undefined) {
        const { namespace, name } = alert.canary;
        logger.warn({ canary: `${namespace}/${name}`, receiver }, `an alert was not delivered: ${why}`);
      }
    }
    waiting.delete(receiver);
  }

  /** @returns why it did not arrive; undefined where it did */
  async function deliver(alert: Alert, find: () => Found | string): Promise<string | undefined> {
    let why: string | undefined;
    for (let attempt = 0; attempt <= pauses.length && !stop.signal.aborted; attempt++) {
      if (attempt > 0) await pause(options.clock, pauses[attempt - 1] ?? 0, stop.signal);
      const found = find();
      if (typeof found === "string") return found;
      why = await post(alert, found);
      if (why === undefined) return undefined;
    }
    return why;
  }

  async function post(alert: Alert, { destination, proxy }: Found): Promise<string | undefined> {
    const { url, headers, body } = alertRequest(destination, alert);
    const refusal = guard.refusal(url) ?? (proxy === undefined ? undefined : guard.refusal(proxy));
    if (refusal !== undefined) return refusal;
    try {
      const answer = await request(url, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
        dispatcher: proxy === undefined ? direct : through(proxy),
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(timeout)]),
      });
      await answer.body.dump();
      const { statusCode } = answer;
      return statusCode >= 200 && statusCode < 300 ? undefined : `the receiver answered ${statusCode}`;
    } catch (error) {
      return redact(error instanceof Error ? error.message : String(error));
    }
  }

  function through(proxy: string): Dispatcher {
    const known = proxies.get(proxy) ?? new ProxyAgent(proxy);
    proxies.set(proxy, known);
    return known;
  }

  return {
    send(alert) {
      const { canary, severity, message, receivers } = alert;
      logger.info({ canary: `${canary.namespace}/${canary.name}`, severity, fields: alert.fields }, message);
      for (const receiver of receivers) {
        if (ranks[severity] < ranks[receiver.severity]) continue;
        const { namespace, name } = receiver.provider;
        enqueue(`${namespace}/${name}`, alert, () => findDestination(receiver, options));
      }
      if (receivers.length === 0 && fallback && ranks[severity] >= ranks[fallback.severity])
        enqueue("", alert, () => ({ destination: fallback }));
    },
    async close() {
      stop.abort();
      await Promise.all([direct.destroy(), ...[...proxies.values()].map((proxy) => proxy.destroy())]);
    },
  };
}

interface Found {
  readonly destination: Destination;
  readonly proxy?: string;
}

/** Read at each attempt: a provider that is mended meanwhile gets what waits. A text says what is wrong. */
function findDestination(
  { provider: ref }: AlertReceiver,
  { provider: get, secret }: AlertsOptions,
): Found | string {
  const provider = get(ref.namespace, ref.name);
  if (provider === undefined) return `alertprovider ${ref.namespace}/${ref.name} does not exist`;
  const { type, channel, username, address, proxy, secretRef } = provider.spec;
  const values = secretRef && secret(ref.namespace, secretRef.name);
  if (secretRef !== undefined && values === undefined)
    return `secret ${ref.namespace}/${secretRef.name} does not exist`;
  const url = values?.get("address")?.trim() || address;
  if (url === undefined) return `alertprovider ${ref.namespace}/${ref.name} has no address`;
  const token = values?.get("token")?.trim();
  return {
    destination: {
      ...{ type, address: url, channel: channel ?? "general", username: username ?? "flagger" },
      ...(token && { token }),
    },
    ...(proxy !== undefined && { proxy }),
  };
}

function pause(clock: Clock, delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(delay, done);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
