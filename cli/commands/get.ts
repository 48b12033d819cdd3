import type { Command } from "commander";
import { type Canary, CanaryKind } from "../../api/kinds.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import { findCanary, isCanary } from "../canary/find.ts";
import { canaryHeaders, canaryRow } from "../canary/row.ts";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { UsageError } from "../failure.ts";
import { follow } from "../follow.ts";
import { addOutputOption, type Format, printData, printElement } from "../output/format.ts";
import { columnWidths, formatRow, formatTable } from "../output/table.ts";

interface GetOptions extends ClusterOptions {
  readonly allNamespaces?: boolean;
  readonly watch?: boolean;
  readonly selector?: string;
  readonly output: Format;
}

/** Adds `fairlead get`. */
export function addGet(program: Command): void {
  const command = program
    .command("get")
    .description("list canaries or any other objects")
    .argument("<kind>", "`canaries`, or any kind that the API server knows, e.g. `pods`")
    .argument("[name]", "one object")
    .option("-A, --all-namespaces", "of all namespaces")
    .option("-l, --selector <labels>", "those with these labels, e.g. `app=shop`")
    .option("-w, --watch", "then follow the changes until Ctrl-C");
  addOutputOption(addClusterOptions(command))
    .addHelpText(
      "after",
      "\nExamples:\n  fairlead get canaries -A\n  fairlead get canary shop -n demo -w\n  fairlead get pods -o json",
    )
    .action((kind: string, name: string | undefined, options: GetOptions) => {
      if (name !== undefined && options.allNamespaces)
        throw new UsageError("a name and --all-namespaces do not go together");
      return withCluster(options, (cluster) => get(cluster, kind, name, options));
    });
}

async function get(
  cluster: Cluster,
  word: string,
  name: string | undefined,
  options: GetOptions,
): Promise<void> {
  if (isCanary(word)) {
    await (options.watch ? watchCanaries(cluster, name, options) : getCanaries(cluster, name, options));
    return;
  }
  const { findKind } = await import("../../kube/discovery.ts");
  const kind = await findKind(cluster.client, word);
  if (kind === undefined) throw new UsageError(`the API server knows no kind \`${word}\``);
  if (options.watch) throw new UsageError("only canaries can be watched");
  if (options.output === "table") await printServerTable(cluster, kind, name, options);
  else
    await printData(
      name === undefined ? listOf(await list(cluster, kind, options)) : await one(cluster, kind, name),
      options.output,
    );
}

async function getCanaries(cluster: Cluster, name: string | undefined, options: GetOptions): Promise<void> {
  const { output, allNamespaces = false } = options;
  if (name !== undefined && output !== "table") {
    await printData(await findCanary(cluster, name), output);
    return;
  }
  const canaries =
    name === undefined ? await list(cluster, CanaryKind, options) : [await findCanary(cluster, name)];
  if (output !== "table") await printData(listOf(canaries), output);
  else if (canaries.length === 0) process.stderr.write(nothingFound("canaries", cluster, options));
  else {
    const rows = canaries.map((canary) => canaryRow(canary, allNamespaces, Date.now()));
    process.stdout.write(`${formatTable(canaryHeaders(allNamespaces), rows)}\n`);
  }
}

/** One line each time a canary changes; ends with the process. */
async function watchCanaries(cluster: Cluster, name: string | undefined, options: GetOptions): Promise<void> {
  const { output, allNamespaces = false } = options;
  const scope = {
    ...scopeOf(cluster, options),
    ...(name !== undefined && { fieldSelector: `metadata.name=${name}` }),
  };
  const headers = canaryHeaders(allNamespaces);
  // Names and phases longer than these widen their own line only.
  const widths = columnWidths([
    headers,
    [...(allNamespaces ? [" ".repeat(12)] : []), " ".repeat(16), "WaitingPromotion", "100 %"],
  ]);
  if (output === "table") process.stdout.write(`${formatRow(headers, widths)}\n`);
  for await (const { object, deleted } of follow<Canary>(cluster.client, CanaryKind, scope)) {
    if (output !== "table") await printElement(object, output);
    else {
      const row = canaryRow(object, allNamespaces, Date.now());
      process.stdout.write(`${formatRow(deleted ? [...row.slice(0, -1), "deleted"] : row, widths)}\n`);
    }
  }
}

interface ServerTable {
  readonly kind?: string;
  readonly columnDefinitions?: readonly { readonly name: string; readonly priority?: number }[];
  readonly rows?: readonly {
    readonly cells: readonly unknown[];
    readonly object?: { readonly metadata?: KubeObject["metadata"] };
  }[];
}

/** Columns as the server prints the kind. @see meta.k8s.io/v1 Table */
async function printServerTable(
  cluster: Cluster,
  kind: Kind,
  name: string | undefined,
  options: GetOptions,
): Promise<void> {
  const { resourcePath, withQuery } = await import("../../kube/path.ts");
  const scope = scopeOf(cluster, options);
  const path = withQuery(resourcePath(kind, scope.namespace, name), { labelSelector: options.selector });
  const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
  const table: ServerTable = await cluster.client.request("GET", path, undefined, { accept });
  const { rows = [], columnDefinitions = [] } = table;
  if (rows.length === 0) {
    process.stderr.write(nothingFound(kind.plural, cluster, options));
    return;
  }
  const shown = columnDefinitions.flatMap(({ name, priority = 0 }, index) =>
    priority === 0 ? [{ name, index }] : [],
  );
  const withNamespace = options.allNamespaces === true && kind.namespaced;
  const headers = [...(withNamespace ? ["NAMESPACE"] : []), ...shown.map(({ name }) => name.toUpperCase())];
  const lines = rows.map(({ cells, object }) => [
    ...(withNamespace ? [object?.metadata?.namespace ?? ""] : []),
    ...shown.map(({ index }) => cellText(cells[index])),
  ]);
  process.stdout.write(`${formatTable(headers, lines)}\n`);
}

function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell as string | number | boolean);
}

async function one<T extends KubeObject>(
  { client, namespace }: Cluster,
  kind: Kind<T>,
  name: string,
): Promise<T> {
  const object = await client.get(kind, kind.namespaced ? namespace : undefined, name);
  if (object === undefined)
    throw new Error(`${kind.kind.toLowerCase()} \`${name}\` does not exist in namespace \`${namespace}\``);
  return object;
}

async function list<T extends KubeObject>(
  cluster: Cluster,
  kind: Kind<T>,
  options: GetOptions,
): Promise<readonly T[]> {
  const { items } = await cluster.client.list(kind, scopeOf(cluster, options));
  return items;
}

function scopeOf({ namespace }: Cluster, { allNamespaces, selector }: GetOptions) {
  return {
    ...(allNamespaces ? {} : { namespace }),
    ...(selector !== undefined && { labelSelector: selector }),
  };
}

function listOf(items: readonly KubeObject[]) {
  return { apiVersion: "v1", kind: "List", items };
}

function nothingFound(plural: string, { namespace }: Cluster, { allNamespaces }: GetOptions): string {
  return allNamespaces
    ? `no ${plural} found\n`
    : `no ${plural} found in namespace ${namespace} (-A for all)\n`;
}
