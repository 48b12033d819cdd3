import type { Analyst } from "../analysis/analyst.ts";
import type { MetricSources } from "../analysis/checks/prepare.ts";
import type { Hooks } from "../api/hooks.ts";
import type { Kind } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import type { Logger } from "../lib/log.ts";
import type { Flaggers } from "./adoption/flagger.ts";
import type { ApplyOptions } from "./apply.ts";
import type { Entry, RouteAcknowledged } from "./entry.ts";
import type { KeyIndex } from "./key-index.ts";
import type { Overlay } from "./overlay.ts";
import type { RunQueue } from "./queue.ts";
import type { ControllerSettings } from "./settings.ts";

/** Everything that a look at a canary needs beside the canary. */
export interface ReconcileOptions extends ApplyOptions {
  readonly snapshot: () => Snapshot;
  readonly overlay: Overlay;
  readonly analyst: Analyst;
  readonly hooks: Hooks;
  readonly acknowledged: RouteAcknowledged | undefined;
  readonly settings: ControllerSettings;
  readonly sources: MetricSources;
  readonly index: KeyIndex;
  readonly flaggers: Pick<Flaggers, "beside">;
  readonly entries: Map<string, Entry>;
  readonly runs: RunQueue;
  readonly enqueue: (key: string) => void;
  /** Whether these kinds are watched and have been listed; begins to watch those that are not. */
  readonly watches: (kinds: readonly Kind[]) => boolean;
  readonly freshRun: () => string;
  readonly logger: Logger;
}
