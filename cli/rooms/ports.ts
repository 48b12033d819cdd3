/** Istio's ports, `signals` for the proxies' reports, and the load tester's of Flagger for gates. */
export const ports = {
  xds: 15010,
  tls: 15012,
  signals: 15013,
  monitoring: 15014,
  webhooks: 15017,
  gates: 9090,
} as const;
