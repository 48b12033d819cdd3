/** Istio's ports, and `signals` for the proxies' reports. */
export const ports = { xds: 15010, tls: 15012, signals: 15013, monitoring: 15014, webhooks: 15017 } as const;
