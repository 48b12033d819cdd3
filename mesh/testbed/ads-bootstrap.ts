/** The bootstrap of a proxy that takes everything from our delta ADS on 127.0.0.1. `layer`: with our runtime layer. Without `admin`. */
export function bootstrapFor({
  node,
  xdsPort,
  layer,
}: {
  node: object;
  xdsPort: number;
  layer: boolean;
}): Record<string, unknown> {
  const ads = { resource_api_version: "V3", ads: {}, initial_fetch_timeout: "5s" };
  return {
    node,
    dynamic_resources: {
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    ...(layer && {
      layered_runtime: {
        layers: [
          { name: "base", static_layer: {} },
          { name: "fl", rtds_layer: { name: "fl", rtds_config: ads } },
          { name: "admin", admin_layer: {} },
        ],
      },
    }),
    static_resources: {
      clusters: [
        {
          name: "xds",
          type: "STATIC",
          connect_timeout: "1s",
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: "xds",
            endpoints: [
              {
                lb_endpoints: [
                  {
                    endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: xdsPort } } },
                  },
                ],
              },
            ],
          },
        },
      ],
    },
  };
}
