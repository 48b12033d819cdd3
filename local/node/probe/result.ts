/** One answer to a probe; `message` is for the `Unhealthy` event where it failed. */
export interface ProbeResult {
  readonly passed: boolean;
  readonly message: string;
}
