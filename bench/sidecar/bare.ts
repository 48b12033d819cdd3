/** The limit: two Envoys with the least that two proxies with mutual TLS between them need. */
import { freePort, type RunningEnvoy, startEnvoy } from "../../test/support/envoy.ts";
import { makeCertificates } from "../signals/certificates.ts";

export interface BarePair {
  /** Where the caller's Envoy takes requests, on 127.0.0.1. */
  readonly port: number;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

const typed = (name: string, fields: object = {}) => ({
  "@type": `type.googleapis.com/envoy.extensions.${name}`,
  ...fields,
});
const address = (host: string, port: number) => ({ socket_address: { address: host, port_value: port } });

function listener(port: number, cluster: string, more: object): object {
  const router = { name: "envoy.filters.http.router", typed_config: typed("filters.http.router.v3.Router") };
  const hosts = [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster } }] }];
  const manager = typed("filters.network.http_connection_manager.v3.HttpConnectionManager", {
    ...{ stat_prefix: cluster, http_filters: [router], route_config: { virtual_hosts: hosts } },
    ...(cluster === "app" && {
      forward_client_cert_details: "APPEND_FORWARD",
      set_current_client_cert_details: { uri: true },
    }),
  });
  const filters = [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }];
  return { name: cluster, address: address("127.0.0.1", port), filter_chains: [{ filters, ...more }] };
}

function cluster(name: string, host: string, port: number, more: object): object {
  const endpoint = { endpoint: { address: address(host, port) } };
  return {
    ...{ name, type: "STATIC", connect_timeout: "1s" },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [endpoint] }] },
    ...more,
  };
}

/** Starts both; the second passes on to the application at `app`. */
export async function startBarePair(app: {
  readonly host: string;
  readonly port: number;
}): Promise<BarePair> {
  const { rootPem, workload } = makeCertificates();
  const tls = {
    tls_certificates: [
      { certificate_chain: { inline_string: workload.cert }, private_key: { inline_string: workload.key } },
    ],
    validation_context: { trusted_ca: { inline_string: rootPem } },
  };
  const socket = (kind: string, fields: object) => ({
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: typed(`transport_sockets.tls.v3.${kind}`, { common_tls_context: tls, ...fields }),
    },
  });
  const statics = (one: object, behind: object) => ({
    static_resources: { listeners: [one], clusters: [behind] },
  });
  const envoys: RunningEnvoy[] = [];
  const stop = async () => {
    for (const envoy of envoys) await envoy.stop();
  };
  try {
    const inner = await freePort();
    const inbound = listener(
      inner,
      "app",
      socket("DownstreamTlsContext", { require_client_certificate: true }),
    );
    envoys.push(await startEnvoy(statics(inbound, cluster("app", app.host, app.port, {}))));
    const port = await freePort();
    const outbound = cluster("peer", "127.0.0.1", inner, socket("UpstreamTlsContext", {}));
    envoys.push(await startEnvoy(statics(listener(port, "peer", {}), outbound)));
    return { port, pids: envoys.map(({ pid }) => pid), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
