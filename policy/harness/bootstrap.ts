/** Envoy's static resources in JSON form, as a bootstrap file holds them. */

const typeUrl = (name: string) => `type.googleapis.com/${name}`;

export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  /** Clients may show a certificate of this authority. */
  readonly root: string;
}

export interface HttpListener {
  readonly httpFilters: readonly object[];
  /** Settings of the connection manager besides the usual ones. */
  readonly manager: object;
  readonly route: object;
}

export interface ListenerPlan {
  readonly name: string;
  readonly port: number;
  readonly tls: ServerTls | undefined;
  readonly filters: readonly object[];
}

/** A listener that takes the connection's ends from a PROXY header. */
export function listener({ name, port, tls, filters }: ListenerPlan): object {
  const address = (host: string) => ({ socketAddress: { address: host, portValue: port } });
  return {
    name,
    address: address("127.0.0.1"),
    additionalAddresses: [{ address: address("::1") }],
    listenerFilters: [
      {
        name: "proxy_protocol",
        typedConfig: {
          "@type": typeUrl("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"),
        },
      },
      {
        name: "tls_inspector",
        typedConfig: { "@type": typeUrl("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector") },
      },
    ],
    filterChains: [{ filters, ...(tls && { transportSocket: serverTls(tls) }) }],
  };
}

function serverTls({ cert, key, root }: ServerTls): object {
  return {
    name: "tls",
    typedConfig: {
      "@type": typeUrl("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
      requireClientCertificate: false,
      commonTlsContext: {
        tlsCertificates: [{ certificateChain: { inlineString: cert }, privateKey: { inlineString: key } }],
        validationContext: { trustedCa: { inlineString: root } },
      },
    },
  };
}

/** The connection manager, with a log line a request. */
export function httpManager(
  { httpFilters, manager, route }: HttpListener,
  accessLogs: readonly object[],
): object {
  return {
    name: "hcm",
    typedConfig: {
      "@type": typeUrl("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
      statPrefix: "policy",
      accessLog: accessLogs,
      upgradeConfigs: [{ upgradeType: "websocket" }],
      routeConfig: { virtualHosts: [{ name: "all", domains: ["*"], routes: [route] }] },
      httpFilters: [
        ...httpFilters,
        {
          name: "envoy.filters.http.router",
          typedConfig: { "@type": typeUrl("envoy.extensions.filters.http.router.v3.Router") },
        },
      ],
      ...manager,
    },
  };
}

export function tcpProxy(cluster: string, accessLogs: readonly object[]): object {
  return {
    name: "tcp_proxy",
    typedConfig: {
      "@type": typeUrl("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
      statPrefix: "policy",
      cluster,
      accessLog: accessLogs,
    },
  };
}

/** Writes one line of JSON a request to a file. */
export function fileLog(path: string, jsonFormat: object): object {
  return {
    name: "file",
    typedConfig: {
      "@type": typeUrl("envoy.extensions.access_loggers.file.v3.FileAccessLog"),
      path,
      logFormat: { jsonFormat },
    },
  };
}

/** Puts values where filters leave theirs, by filter. */
export function metadataFilter(values: Readonly<Record<string, unknown>>): object {
  return {
    name: "envoy.filters.http.set_metadata",
    typedConfig: {
      "@type": typeUrl("envoy.extensions.filters.http.set_metadata.v3.Config"),
      metadata: Object.entries(values).map(([metadataNamespace, value]) => ({ metadataNamespace, value })),
    },
  };
}

/** A cluster with one endpoint on this machine, none where the port is undefined. */
export function cluster(name: string, port: number | undefined, http2 = false): object {
  const endpoint = { address: { socketAddress: { address: "127.0.0.1", portValue: port } } };
  return {
    name,
    type: "STATIC",
    connectTimeout: "2s",
    loadAssignment: {
      clusterName: name,
      endpoints: port === undefined ? [] : [{ lbEndpoints: [{ endpoint }] }],
    },
    ...(http2 && {
      typedExtensionProtocolOptions: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": typeUrl("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"),
          explicitHttpConfig: { http2ProtocolOptions: {} },
        },
      },
    }),
  };
}
