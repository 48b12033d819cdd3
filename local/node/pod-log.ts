import type { Pod } from "../../api/core.ts";
import { containersOf } from "./container.ts";
import { containerFolder } from "./container-runner.ts";
import { type LogOptions, readLog } from "./log/read-log.ts";
import { readAttempts } from "./process/attempt-folder.ts";

export interface PodLogOptions extends LogOptions {
  /** Default: what `kubectl.kubernetes.io/default-container` names, else the first. */
  readonly container?: string;
  /** The attempt before the current one. */
  readonly previous?: boolean;
}

/** Why there is no log; `status` is the HTTP code that the kubelet answers. */
export class PodLogError extends Error {
  override readonly name = "PodLogError";
  readonly status: 400 | 404;

  constructor(status: 400 | 404, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * The log of one container of a pod.
 *
 * @throws PodLogError at once, before the first part is read
 */
export function podLog(pod: Pod, folder: string, options: PodLogOptions): AsyncIterable<Buffer> {
  const { name } = pod.metadata;
  const containers = pod.spec ? containersOf(pod.spec).map(({ container }) => container.name) : [];
  const preferred = pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"];
  const wanted = options.container ?? preferred ?? pod.spec?.containers[0]?.name ?? "";
  if (!containers.includes(wanted))
    throw new PodLogError(400, `container ${wanted} is not valid for pod ${name}`);
  const attempts = readAttempts(containerFolder(folder, wanted));
  const attempt = attempts.at(options.previous ? -2 : -1);
  if (attempt) return readLog(attempt, options);
  throw options.previous
    ? new PodLogError(400, `previous terminated container "${wanted}" in pod "${name}" not found`)
    : new PodLogError(
        400,
        `container "${wanted}" in pod "${name}" is waiting to start: ${waitingReason(pod, wanted)}`,
      );
}

function waitingReason({ status }: Pod, container: string): string {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const waiting = all.find(({ name }) => name === container)?.state?.waiting;
  return [waiting?.reason ?? "ContainerCreating", waiting?.message].filter(Boolean).join(": ");
}
