import type { CanaryAlert, CanaryWebhook } from "../generated/canaries.ts";
import { below } from "../schema/pointer.ts";
import { checkUrl, type Report, readDuration, readWhole } from "./fields.ts";
import type { ReadAlert, ReadHook } from "./types.ts";

/** `spec.analysis.webhooks`; the type `rollout` and 10 s are Flagger's defaults. */
export function readHooks(webhooks: readonly CanaryWebhook[], field: string, report: Report): ReadHook[] {
  return webhooks.map((webhook, index) => {
    const at = below(field, index);
    checkUrl(webhook.url, below(at, "url"), report);
    return {
      name: webhook.name,
      type: webhook.type || "rollout",
      url: webhook.url,
      timeout: readDuration(webhook.timeout, below(at, "timeout"), { least: 1, fallback: 10_000 }, report),
      retries: readWhole(webhook.retries, below(at, "retries"), { least: 0, most: 100, fallback: 0 }, report),
      disableTLS: webhook.disableTLS ?? false,
      muteAlert: webhook.muteAlert ?? false,
      metadata: webhook.metadata ?? {},
      ...(webhook.secretRef && { secret: webhook.secretRef.name }),
    };
  });
}

/** `spec.analysis.alerts`; without a severity all are sent, as Flagger documents it. */
export function readAlerts(alerts: readonly CanaryAlert[], namespace: string): ReadAlert[] {
  return alerts.map(({ name, severity, providerRef }) => ({
    name,
    severity: severity || "info",
    provider: { namespace: providerRef.namespace ?? namespace, name: providerRef.name },
  }));
}
