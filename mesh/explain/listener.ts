import type { Listener } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";

/** An address and port. */
export interface Address {
  readonly address: string;
  readonly port: number;
}

/** Where a listener is bound, or for which original destination it stands. */
export function addressOf({ address }: Listener): Address | undefined {
  const socket = address?.address;
  if (socket?.case !== "socketAddress") return undefined;
  const { portSpecifier } = socket.value;
  return {
    address: socket.value.address,
    port: portSpecifier.case === "portValue" ? portSpecifier.value : 0,
  };
}

/**
 * The listener of a connection that iptables caught: the one of its very address, else of its port on any address, else
 * the catching one (`virtualOutbound`) itself.
 *
 * @see envoy.config.listener.v3.Listener.use_original_dst
 */
export function redirectedTo(
  listeners: readonly Listener[],
  destination: Address,
  catching: string,
): Listener | undefined {
  const at = (address: string) =>
    listeners.find((listener) => {
      const own = addressOf(listener);
      return listener.bindToPort === false && own?.address === address && own.port === destination.port;
    });
  return (
    at(destination.address) ??
    at(destination.address.includes(":") ? "::" : "0.0.0.0") ??
    listeners.find(({ name }) => name === catching)
  );
}

/** The listener that is bound to a port, on this address or any. */
export function boundTo(listeners: readonly Listener[], { address, port }: Address): Listener | undefined {
  const bound = listeners.filter(
    (listener) => listener.bindToPort !== false && addressOf(listener)?.port === port,
  );
  return (
    bound.find((listener) => addressOf(listener)?.address === address) ??
    bound.find((listener) => ["0.0.0.0", "::"].includes(addressOf(listener)?.address ?? ""))
  );
}
