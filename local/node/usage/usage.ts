/** What the processes of one container use. */
export interface ContainerUsage {
  /** Of CPU: processor seconds a second. */
  readonly cores: number;
  /** Resident, shared pages counted with each process. */
  readonly memoryBytes: number;
  /** How long `cores` was measured, milliseconds. */
  readonly window: number;
  /** End of the window, epoch milliseconds. */
  readonly at: number;
}

/** By pod uid, then container. A container is missing until it was seen twice. */
export type PodUsages = ReadonlyMap<string, ReadonlyMap<string, ContainerUsage>>;
