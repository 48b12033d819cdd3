import type { Command } from "commander";
import { explainDenial, wordDenial } from "../authz/denial-explanation.ts";
import { type Denial, type FoundDenials, readDenials } from "../authz/denials.ts";
import { readCluster } from "../authz/scope.ts";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { UsageError } from "../failure.ts";
import { addExplainRoute } from "../mesh/explain-route.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { formatTable } from "../output/table.ts";

interface DenialOptions extends ClusterOptions {
  readonly requestId?: string;
  readonly allNamespaces?: boolean;
  readonly tail: string;
  readonly output: Format;
}

/** Denials that a list shows. */
const listed = 20;

/** Adds `fairlead explain`. */
export function addExplain(program: Command): void {
  const explain = program.command("explain").description("say where a request goes, and why one was refused");
  addExplainRoute(explain);
  const denial = explain
    .command("denial")
    .description(
      "say which rule denied a request, from the sidecars' logs; without an id, list the last ones",
    )
    .option("--request-id <id>", "value of the request's header x-request-id")
    .option("-A, --all-namespaces", "look at the sidecars of all namespaces")
    .option("--tail <lines>", "lines of each sidecar's log that are looked through", "20000");
  addOutputOption(addClusterOptions(denial))
    .addHelpText("after", "\nExample:\n  fairlead explain denial --request-id 3f6a… -n demo")
    .action((options: DenialOptions) => withCluster(options, (cluster) => explainFrom(cluster, options)));
}

async function explainFrom({ client, namespace }: Cluster, options: DenialOptions): Promise<void> {
  const { requestId, allNamespaces = false, output } = options;
  const lines = Number(options.tail);
  if (!Number.isInteger(lines) || lines < 1) throw new UsageError("--tail must be a whole number above 0");
  const found = await readDenials(client, allNamespaces ? undefined : namespace, lines);
  for (const { pod, reason } of found.unread)
    process.stderr.write(`the log of pod ${pod} cannot be read: ${reason}\n`);
  if (requestId === undefined) {
    await printList(found.denials, output);
    return;
  }
  const matching = found.denials.filter((denial) => denial.requestId === requestId);
  if (matching.length === 0)
    throw new Error(whyNothing(requestId, found, allNamespaces ? undefined : namespace));
  const explained = [];
  // A request that is tried again is denied again: each time may be another pod.
  for (const denial of matching)
    explained.push(explainDenial(denial, await readCluster(client, denial.namespace)));
  if (output === "table") process.stdout.write(`${explained.map(wordDenial).join("\n\n")}\n`);
  else await printData(explained, output);
}

function whyNothing(id: string, { denials }: FoundDenials, namespace: string | undefined): string {
  const where = namespace === undefined ? "any namespace" : `namespace \`${namespace}\``;
  const known = denials.length === 0 ? "none was denied there" : `${denials.length} others were denied there`;
  return `no sidecar in ${where} has denied a request with id \`${id}\` as far as its log reaches back (${known})`;
}

async function printList(denials: readonly Denial[], output: Format): Promise<void> {
  const last = denials.slice(-listed);
  if (output !== "table") {
    await printData(last, output);
    return;
  }
  const rows = last.map(({ time, pod, method, path, status, principal, destination, details, requestId }) => [
    time,
    pod,
    method === "" ? `connection to ${destination}` : `${method} ${path}`,
    status === 0 ? "closed" : String(status),
    principal === "" ? "-" : principal.replace(/^spiffe:\/\/[^/]*\//, ""),
    details.replace(/^rbac_access_denied_matched_policy\[(.*)\]$/, "$1"),
    requestId,
  ]);
  process.stdout.write(
    rows.length === 0
      ? "no sidecar has denied anything, as far as its log reaches back\n"
      : `${formatTable(["TIME", "POD", "REQUEST", "STATUS", "CALLER", "BY", "REQUEST-ID"], rows)}\n`,
  );
}
