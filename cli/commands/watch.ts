import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { DaemonSetKind, type Deployment, DeploymentKind, PodKind } from "../../api/core.ts";
import type { Canary } from "../../api/kinds.ts";
import type { Kind } from "../../api/resource.ts";
import { isTransient } from "../../kube/error.ts";
import { findCanary } from "../canary/find.ts";
import { phaseOf } from "../canary/row.ts";
import { type RolloutView, rolloutTree, type Side } from "../canary/tree.ts";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { eventsOf } from "../event/list.ts";
import { clip } from "../output/clip.ts";
import { addOutputOption, type Format, printElement } from "../output/format.ts";

interface WatchOptions extends ClusterOptions {
  readonly output: Format;
  readonly once?: boolean;
}

/** Milliseconds between two looks: what a person sees as live. */
const pace = 500;

/** Adds `fairlead watch`. */
export function addWatch(program: Command): void {
  const command = program
    .command("watch")
    .description("show one rollout live as a tree: weights, pods, checks, events")
    .argument("<name>", "the canary")
    .option("--once", "show it once and end");
  addOutputOption(addClusterOptions(command))
    .addHelpText(
      "after",
      `
In a terminal the tree is drawn again in place until Ctrl-C; elsewhere each change of phase or weight and each event
is a line, with -o json or yaml an object.

Example:
  fairlead watch shop -n demo`,
    )
    .action((name: string, options: WatchOptions) =>
      withCluster(options, (cluster) => watchRollout(cluster, name, options)),
    );
}

async function watchRollout(
  cluster: Cluster,
  name: string,
  { output, once = false }: WatchOptions,
): Promise<void> {
  const show = once ? printOnce(output) : output !== "table" ? printObjects(output) : showPeople();
  // A Canary that does not exist is told at once; later, a server that is away for a while is waited for.
  let view = await look(cluster, name);
  let answered = performance.now();
  for (;;) {
    await show(view);
    if (once) return;
    await sleep(pace);
    const known: RolloutView = view;
    view = await look(cluster, name).catch((error: unknown): RolloutView => {
      if (!isTransient(error)) throw error;
      return { ...known, now: Date.now(), unanswered: performance.now() - answered };
    });
    if (view.unanswered === undefined) answered = performance.now();
  }
}

async function look(cluster: Cluster, name: string): Promise<RolloutView> {
  const canary = await findCanary(cluster, name);
  const target = canary.spec.targetRef.name;
  const [primary, own, events] = await Promise.all([
    readSide(cluster, canary, `${target}-primary`),
    readSide(cluster, canary, target),
    eventsOf(cluster.client, canary),
  ]);
  return { canary, primary, target: own, events, now: Date.now() };
}

async function readSide({ client }: Cluster, canary: Canary, workload: string): Promise<Side> {
  const namespace = canary.metadata.namespace ?? "default";
  // All workload kinds are alike in what is read here.
  const kind = (
    canary.spec.targetRef.kind === "DaemonSet" ? DaemonSetKind : DeploymentKind
  ) as Kind<Deployment>;
  const found = await client.get(kind, namespace, workload);
  const labels = Object.entries(found?.spec?.selector.matchLabels ?? {});
  if (labels.length === 0) return { workload, image: undefined, replicas: 0, pods: [] };
  const labelSelector = labels.map(([label, value]) => `${label}=${value}`).join(",");
  const { items: pods } = await client.list(PodKind, { namespace, labelSelector });
  const containers = found?.spec?.template.spec?.containers ?? [];
  const image = containers.map(({ image }) => image ?? "").join(", ");
  return { workload, image, replicas: found?.spec?.replicas ?? pods.length, pods };
}

type Show = (view: RolloutView) => Promise<void> | void;

function printOnce(output: Format): Show {
  if (output !== "table") return printObjects(output);
  return (view) => void process.stdout.write(`${rolloutTree(view).join("\n")}\n`);
}

/** An object at each change of what it says. */
function printObjects(output: Exclude<Format, "table">): Show {
  let told = "";
  return async ({ canary, primary, target, now }) => {
    const { phase, canaryWeight, failedChecks, checks, failure } = canary.status ?? {};
    const sideOf = ({ image, replicas, pods }: Side) => ({ image, replicas, pods: pods.length });
    const said = {
      ...{ phase, canaryWeight, failedChecks, checks, failure },
      ...{ primary: sideOf(primary), canary: sideOf(target) },
    };
    const text = JSON.stringify(said);
    if (text === told) return;
    told = text;
    await printElement({ at: new Date(now).toISOString(), ...said }, output);
  };
}

function showPeople(): Show {
  return process.stdout.isTTY ? drawLive() : printChanges();
}

function drawLive(): Show {
  let drawn = 0;
  process.stdout.write("\u001b[?25l");
  process.once("exit", () => process.stdout.write("\u001b[?25h"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(0));
  return (view) => {
    const { columns, rows } = process.stdout;
    const lines = rolloutTree(view).slice(0, rows - 1);
    const up = drawn === 0 ? "" : `\u001b[${drawn}A\u001b[J`;
    process.stdout.write(`${up}${lines.map((line) => clip(line, columns)).join("\n")}\n`);
    drawn = lines.length;
  };
}

/** Lines for a log: each phase or weight, each event. */
function printChanges(): Show {
  let last = "";
  const seen = new Set<string>();
  return ({ canary, events, now }) => {
    const time = new Date(now).toISOString().slice(11, 23);
    const fresh = events.filter(({ metadata, count }) => !seen.has(`${metadata.uid} ${count}`));
    for (const { metadata, count, message = "" } of fresh) {
      seen.add(`${metadata.uid} ${count}`);
      process.stdout.write(`${time}  ${message}\n`);
    }
    const words = `${phaseOf(canary.status)}, ${canary.status?.canaryWeight ?? 0} %`;
    if (words !== last) process.stdout.write(`${time}  ${canary.metadata.name}: ${words}\n`);
    last = words;
  };
}
