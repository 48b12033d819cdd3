import { type Command, InvalidArgumentError } from "commander";
import { type Event, EventKind } from "../../api/core.ts";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { eventHeaders, eventRow, inOrder } from "../event/row.ts";
import { follow } from "../follow.ts";
import { addOutputOption, type Format, printData, printElement } from "../output/format.ts";
import { columnWidths, formatRow, formatTable } from "../output/table.ts";

interface EventsOptions extends ClusterOptions {
  readonly allNamespaces?: boolean;
  readonly for?: ObjectName;
  readonly watch?: boolean;
  readonly output: Format;
}

interface ObjectName {
  readonly kind: string;
  readonly name: string;
}

/** Adds `fairlead events`. */
export function addEvents(program: Command): void {
  const command = program
    .command("events")
    .description("list what happened, the latest last")
    .option("-A, --all-namespaces", "of all namespaces")
    .option("--for <kind/name>", "of one object, e.g. `canary/shop`", readObjectName)
    .option("-w, --watch", "then follow what happens until Ctrl-C");
  addOutputOption(addClusterOptions(command))
    .addHelpText("after", "\nExample:\n  fairlead events -n demo --for canary/shop -w")
    .action((options: EventsOptions) =>
      withCluster(options, (cluster) =>
        options.watch ? watchEvents(cluster, options) : listEvents(cluster, options),
      ),
    );
}

function readObjectName(text: string): ObjectName {
  const [kind, name, ...more] = text.split("/");
  if (!kind || !name || more.length > 0) throw new InvalidArgumentError("say KIND/NAME, e.g. `canary/shop`.");
  return { kind: kind.toLowerCase(), name };
}

async function listEvents({ client, namespace }: Cluster, options: EventsOptions): Promise<void> {
  const { allNamespaces = false, output } = options;
  const { items } = await client.list(EventKind, allNamespaces ? {} : { namespace });
  const events = inOrder(items.filter((event) => isAbout(event, options.for)));
  if (output !== "table") await printData({ apiVersion: "v1", kind: "List", items: events }, output);
  else if (events.length === 0) process.stderr.write("no events found\n");
  else {
    const rows = events.map((event) => eventRow(event, allNamespaces, Date.now()));
    process.stdout.write(`${formatTable(eventHeaders(allNamespaces), rows)}\n`);
  }
}

/** One line an event; ends with the process. */
async function watchEvents({ client, namespace }: Cluster, options: EventsOptions): Promise<void> {
  const { allNamespaces = false, output } = options;
  const headers = eventHeaders(allNamespaces);
  const widths = columnWidths([
    headers,
    [...(allNamespaces ? [" ".repeat(12)] : []), "1h (x10)", "Warning", " ".repeat(20), " ".repeat(24)],
  ]);
  if (output === "table") process.stdout.write(`${formatRow(headers, widths)}\n`);
  for await (const { object, deleted } of follow<Event>(
    client,
    EventKind,
    allNamespaces ? {} : { namespace },
  )) {
    if (deleted || !isAbout(object, options.for)) continue;
    if (output === "table")
      process.stdout.write(`${formatRow(eventRow(object, allNamespaces, Date.now()), widths)}\n`);
    else await printElement(object, output);
  }
}

function isAbout({ involvedObject }: Event, asked: ObjectName | undefined): boolean {
  return (
    asked === undefined ||
    (involvedObject.kind?.toLowerCase() === asked.kind && involvedObject.name === asked.name)
  );
}
