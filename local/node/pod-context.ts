import type { Client, Recorder, Snapshot } from "../../kube/contract.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { BackOffLimits } from "./back-off.ts";
import type { Images } from "./image.ts";
import type { PodNetwork } from "./network/pod-network.ts";

/** What every pod of this machine shares. */
export interface PodContext {
  readonly client: Client;
  readonly recorder: Recorder;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly network: PodNetwork;
  /** Of the API server, for programs in pods. */
  readonly apiServer: URL;
  readonly images: Images;
  readonly proxyImage: string;
  /** Path of Envoy, for sidecars. */
  readonly envoy: string | undefined;
  readonly backOff: BackOffLimits;
  snapshot(): Snapshot;
}
