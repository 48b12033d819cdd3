/**
 * Recorded runs in the cluster, where the control plane has no disk: a small ring of ConfigMaps for each Canary, beside
 * it and gone with it. An I/O edge of `record/`.
 */
import { gzipSync } from "node:zlib";
import { recordLabel } from "../../api/annotations.ts";
import { type ConfigMap, ConfigMapKind } from "../../api/core.ts";
import { CanaryKind } from "../../api/kinds.ts";
import type { Client } from "../../kube/contract.ts";
import { mendRecord, type StoredRecord, unpackRecord } from "./folder.ts";
import type { RecordHead } from "./format.ts";
import type { Shelf, Shelves } from "./recording.ts";

/** Said in place of a folder of records. */
export const inConfigMaps = "configmaps";

/** Runs of one Canary that are kept, and the size of each, compressed: over an hour at 50 bytes a second. */
const mostRuns = 3;
const mostBytes = 262_144;
const file = "run.ndjson.gz";
const canaryAnnotation = "fairlead.dev/record-canary";
const runAnnotation = "fairlead.dev/record-run";
const writtenAnnotation = "fairlead.dev/record-written";

/** Records as ConfigMaps `fairlead-run-<canary>-<slot>`, the oldest of a Canary written over by the next. */
export function configMapShelves(client: Client): Shelves {
  // Each writing sends the whole: seldom.
  return { flushEvery: 300_000, flushAt: 524_288, mostBytes, open: (head) => openSlot(client, head) };
}

function openSlot(client: Client, head: RecordHead): Shelf {
  let parts: Buffer[] = [];
  let slot: number | undefined;
  const own = async (): Promise<readonly ConfigMap[]> =>
    (await list(client, head.namespace)).filter(
      ({ metadata }) => metadata.annotations?.[canaryAnnotation] === head.canary,
    );
  const write = async (): Promise<void> => {
    slot ??= freeSlot(head, await own());
    const body = configMapOf(head, slot, Buffer.concat(parts));
    await client.patch(ConfigMapKind, head.namespace, body.metadata.name, {
      ...{ kind: "apply", body, force: true },
    });
  };
  return {
    async begin() {
      const found = (await own()).find(({ metadata }) => metadata.annotations?.[runAnnotation] === head.run);
      if (found === undefined) return undefined;
      slot = slotOf(head, found);
      const whole = mendRecord(unpackRecord(bytesOf(found)));
      if (whole === undefined) return undefined;
      parts = [gzipSync(whole.text)];
      return { head: whole.head, size: parts[0]?.length ?? 0 };
    },
    async add(part) {
      // Kept where the writing fails: the next one sends it too.
      parts.push(part);
      await write();
    },
    finish: () => Promise.resolve(),
    async delete() {
      // Emptied, and the first to be written over: the controller may not delete ConfigMaps.
      parts = [];
      if (slot !== undefined) await write();
    },
  };
}

const nameOf = ({ canary }: RecordHead, slot: number): string => `fairlead-run-${canary}-${slot}`;

function slotOf(head: RecordHead, { metadata }: ConfigMap): number | undefined {
  return slots().find((slot) => nameOf(head, slot) === metadata.name);
}

const slots = (): readonly number[] => Array.from({ length: mostRuns }, (_, slot) => slot);

/** One that is not in use, else the one that was written to the longest time ago. */
function freeSlot(head: RecordHead, own: readonly ConfigMap[]): number {
  const written = (slot: number): number => {
    const found = own.find(({ metadata }) => metadata.name === nameOf(head, slot));
    return found === undefined ? Number.NEGATIVE_INFINITY : writtenAt(found);
  };
  return slots().toSorted((a, b) => written(a) - written(b) || a - b)[0] ?? 0;
}

function configMapOf(head: RecordHead, slot: number, bytes: Buffer): ConfigMap {
  const { canary, namespace, canaryUid } = head;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: nameOf(head, slot),
      namespace,
      labels: { [recordLabel]: "run" },
      annotations: {
        [canaryAnnotation]: canary,
        [runAnnotation]: head.run,
        [writtenAnnotation]: new Date(bytes.length === 0 ? 0 : Date.now()).toISOString(),
      },
      ...(canaryUid !== undefined && {
        ownerReferences: [
          {
            apiVersion: `${CanaryKind.group}/${CanaryKind.version}`,
            ...{ kind: CanaryKind.kind, name: canary, uid: canaryUid },
          },
        ],
      }),
    },
    binaryData: { [file]: bytes.toString("base64") },
  };
}

async function list(client: Client, namespace: string | undefined): Promise<readonly ConfigMap[]> {
  const { items } = await client.list(ConfigMapKind, {
    ...(namespace !== undefined && { namespace }),
    labelSelector: `${recordLabel}=run`,
  });
  return items;
}

const bytesOf = ({ binaryData }: ConfigMap): Buffer => Buffer.from(binaryData?.[file] ?? "", "base64");

function writtenAt({ metadata }: ConfigMap): number {
  const at = Date.parse(metadata.annotations?.[writtenAnnotation] ?? "");
  return Number.isFinite(at) ? at : 0;
}

/** All records in ConfigMaps, of one namespace or of all, the newest first; each with its text. */
export async function listConfigMapRecords(
  client: Client,
  namespace: string | undefined,
): Promise<readonly (StoredRecord & { readonly text: () => string })[]> {
  const found = (await list(client, namespace)).flatMap((object) => {
    const { annotations, name, namespace: of = "default" } = object.metadata;
    const canary = annotations?.[canaryAnnotation];
    const run = annotations?.[runAnnotation];
    if (canary === undefined || run === undefined) return [];
    const bytes = bytesOf(object);
    if (bytes.length === 0) return [];
    return [
      {
        ...{ namespace: of, canary, run, path: `configmap ${of}/${name}` },
        ...{ size: bytes.length, at: writtenAt(object), text: () => unpackRecord(bytes) },
      },
    ];
  });
  return found.toSorted((a, b) => b.at - a.at);
}
