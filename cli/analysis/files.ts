/** The files that `fairlead analysis` reads. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { listRecords, readRecordFile, type StoredRecord } from "../../analysis/record/folder.ts";
import { type RunRecord, readRecord } from "../../analysis/record/format.ts";
import { inConfigMaps, listConfigMapRecords } from "../../analysis/record/ring.ts";
import { readCanary } from "../../api/canary/read.ts";
import type { ReadCanary } from "../../api/canary/types.ts";
import { readManifests } from "../../api/manifest.ts";
import { describeProblem } from "../../api/read.ts";
import { withCluster } from "../cluster.ts";
import { describeFileError, UsageError } from "../failure.ts";
import { defaultDataDir, recordsFolder } from "../up/state.ts";

/** Where recorded runs are looked for. */
export interface RecordOptions {
  readonly namespace?: string;
  readonly data: string;
  readonly records?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** A record that was found. */
export type FoundRecord = StoredRecord & { readonly text: () => string };

/** Adds `-n`, `--data`, `--records` and how a cluster is reached. */
export function addRecordOptions(command: Command): Command {
  return command
    .option("-n, --namespace <name>", "namespace of the canary; default: any")
    .option("--data <folder>", "where `fairlead up` keeps its state", defaultDataDir)
    .option(
      "--records <where>",
      "where runs are recorded: a folder, or `configmaps` for those in a cluster; default: the folder `runs` of --data",
    )
    .option("--kubeconfig <path>", "with `--records configmaps`; default as of other commands")
    .option("--context <name>", "context of the kubeconfig");
}

/** The recorded runs that the options mean, the newest first. */
export async function findRecords(options: RecordOptions): Promise<readonly FoundRecord[]> {
  if (options.records === inConfigMaps)
    return withCluster(options, ({ client }) => listConfigMapRecords(client, options.namespace));
  const folder = resolve(options.records ?? recordsFolder(options.data));
  const all = await listRecords(folder);
  return all
    .filter(({ namespace }) => options.namespace === undefined || namespace === options.namespace)
    .map((record) => ({ ...record, text: () => readText(record.path) }));
}

/**
 * The record that `which` names: the id of a run, else a canary, whose last run is taken.
 *
 * @throws {UsageError} where there is none
 */
export async function findRecord(which: string, options: RecordOptions): Promise<RunRecord> {
  const all = await findRecords(options);
  const found = all.find(({ run }) => run === which) ?? all.find(({ canary }) => canary === which);
  if (found === undefined) {
    const known = [...new Set(all.map(({ canary }) => canary))].slice(0, 5).join(", ");
    const hint = known === "" ? "there are none at all" : `there are some of ${known}`;
    throw new UsageError(
      `no run or canary \`${which}\` is recorded (${hint}; \`fairlead analysis runs\` lists them)`,
    );
  }
  return readRecord(found.text());
}

/** The first Canary of a manifest file. @throws {UsageError} where it holds none that can be read */
export function readCanaryFile(file: string): ReadCanary {
  const { objects } = readManifests(readText(file), file);
  const found = objects.find(({ object }) => object.kind === "Canary");
  if (found === undefined) throw new UsageError(`${file} holds no Canary`);
  const { value, problems } = readCanary(found.object);
  if (value === undefined) throw new UsageError(`${file}: ${problems.map(describeProblem).join("; ")}`);
  return value;
}

/** A file's text, unpacked where it is gzipped. @throws {UsageError} where it cannot be read */
export function readText(file: string): string {
  try {
    return readRecordFile(file);
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${describeFileError(error)}`);
  }
}
