/**
 * A DestinationRule of `shop` by version.
 *
 * @param turn every other one balances in another way, so that all clusters change
 * @param hasExtra a third subset, of all pods
 */
export function subsetRule(namespace: string, turn: number, hasExtra: boolean) {
  const versions = ["v1", "v2"].map((version) => ({ name: version, labels: { version } }));
  const extra = { name: "extra", labels: { app: "shop" } };
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name: "shop", namespace },
    spec: {
      host: "shop",
      trafficPolicy: { loadBalancer: { simple: turn % 2 === 0 ? "LEAST_REQUEST" : "ROUND_ROBIN" } },
      subsets: hasExtra ? [...versions, extra] : versions,
    },
  };
}
