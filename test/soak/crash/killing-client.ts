import type { KubeObject } from "../../../api/resource.ts";
import type { Client } from "../../../kube/contract.ts";

/** Where a process ends: at its write of that number, before it is sent or after it was answered. */
export interface KillPoint {
  readonly write: number;
  readonly when: "before" | "after";
}

export interface KillingClient {
  readonly client: Client;
  /** Begins to count anew, with another point to end at. */
  countFromHere(point: KillPoint | undefined): void;
}

/**
 * A client whose process ends by SIGKILL, as `kill -9` would end it, at one of its writes.
 *
 * `told` learns of each write before it is sent, e.g. `patch VirtualService shop`.
 */
export function killingClient(
  client: Client,
  first: KillPoint | undefined,
  told: (number: number, write: string) => void,
): KillingClient {
  let point = first;
  let writes = 0;

  async function counted<T>(what: string, send: () => Promise<T>): Promise<T> {
    const number = writes++;
    told(number, what);
    if (point?.write === number && point.when === "before") await die();
    try {
      return await send();
    } finally {
      // A refusal, e.g. of a conflict, is an answer too.
      if (point?.write === number && point.when === "after") await die();
    }
  }

  const killing: Client = {
    ...client,
    // The lease is renewed each second, whatever the controller does: it is no write of a release.
    create: (kind, object, options) =>
      kind.kind === "Lease"
        ? client.create(kind, object, options)
        : counted(`create ${nameOf(object)}`, () => client.create(kind, object, options)),
    replace: (kind, object, subresource) =>
      kind.kind === "Lease"
        ? client.replace(kind, object, subresource)
        : counted(`replace ${nameOf(object)}${subresource ? `/${subresource}` : ""}`, () =>
            client.replace(kind, object, subresource),
          ),
    patch: (kind, namespace, name, patch, subresource) =>
      counted(`patch ${kind.kind} ${name}${subresource ? `/${subresource}` : ""}`, () =>
        client.patch(kind, namespace, name, patch, subresource),
      ),
    delete: (kind, namespace, name, options) =>
      counted(`delete ${kind.kind} ${name}`, () => client.delete(kind, namespace, name, options)),
  };
  return {
    client: killing,
    countFromHere(next) {
      point = next;
      writes = 0;
    },
  };
}

function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`;
}

/** Never resolves: the signal cannot be caught. */
function die(): Promise<never> {
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => {});
}
