import { type Command, Option } from "commander";
import type { ReadCanary } from "../../api/canary/types.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { UsageError } from "../failure.ts";
import { readFiles } from "../manifest-files.ts";
import type { Format } from "../output/format.ts";

interface PlanOptions extends ClusterOptions {
  readonly filename: readonly string[];
  readonly meshProvider: "istio" | "kubernetes";
  readonly output: Format;
}

/** Adds `fairlead plan`. */
export function addPlan(program: Command): void {
  const command = program
    .command("plan")
    .description("show what a Canary of a file would make, and its weights over time; nothing is changed")
    .requiredOption("-f, --filename <path...>", "files, folders, or `-` for stdin")
    .addOption(
      new Option("--mesh-provider <name>", "provider of Canaries that name none")
        .choices(["istio", "kubernetes"])
        .default("istio"),
    )
    .addOption(
      new Option("-o, --output <format>", "table, or all objects and moves as data")
        .choices(["table", "json", "yaml"])
        .default("table"),
    );
  addClusterOptions(command)
    .addHelpText(
      "after",
      `
Where the files hold the workload too, no cluster is asked; else the workload and what is there already are read from it.

Example:
  fairlead plan -f canary.yaml -f deployment.yaml`,
    )
    .action(plan);
}

async function plan(options: PlanOptions): Promise<void> {
  const namespace = options.namespace ?? "default";
  const manifests = readFiles(options.filename);
  const objects = manifests.map(({ object }) => ({
    ...object,
    metadata: { ...object.metadata, namespace: object.metadata.namespace ?? namespace },
  }));
  const canaries = await readCanaries(objects, options);
  const isHere = ({ target, namespace: of }: ReadCanary) =>
    objects.some(
      ({ kind, metadata }) =>
        kind === target.kind && metadata.name === target.name && metadata.namespace === of,
    );
  if (canaries.every(isHere)) await print(canaries, objects, options);
  else
    await withCluster(options, async (cluster) => {
      const there = await Promise.all(canaries.map((canary) => readAround(cluster, canary)));
      await print(canaries, [...there.flat(), ...objects], options);
    });
}

/** @throws UsageError that names each field that cannot mean what it says */
async function readCanaries(
  objects: readonly KubeObject[],
  { meshProvider }: PlanOptions,
): Promise<readonly ReadCanary[]> {
  const { readCanary } = await import("../../api/canary/read.ts");
  const { describeProblem, hasErrors } = await import("../../api/read.ts");
  const readings = objects
    .filter(({ kind, apiVersion }) => kind === "Canary" && apiVersion.startsWith("flagger.app/"))
    .map((object) => readCanary(object, { provider: meshProvider }));
  if (readings.length === 0) throw new UsageError("the files hold no Canary");
  const problems = readings.flatMap((reading) => reading.problems);
  const errors = problems.filter((problem) => hasErrors([problem]));
  if (errors.length > 0) throw new UsageError(errors.map(describeProblem).join("; "));
  for (const problem of problems) process.stderr.write(`warning: ${describeProblem(problem)}\n`);
  return readings.flatMap(({ value }) => value ?? []);
}

/** What the plan of a Canary depends on, as the cluster has it. */
async function readAround({ client }: Cluster, canary: ReadCanary): Promise<readonly KubeObject[]> {
  const { chooseRouter } = await import("../../controller/routers/choose.ts");
  const { readConfigs } = await import("../../controller/configs/copies.ts");
  const { snapshotOf } = await import("../../kube/snapshot.ts");
  const { ConfigMapKind, DeploymentKind, HorizontalPodAutoscalerKind, SecretKind, ServiceKind } =
    await import("../../api/core.ts");
  const { namespace, names, autoscaler } = canary;
  const get = (kind: Kind, name: string) => client.get(kind, namespace, name);
  const target = await client.get(DeploymentKind, namespace, names.canaryWorkload);
  const template = target?.spec?.template;
  const configs = template ? readConfigs(template, namespace, snapshotOf([])).missing : [];
  const found = await Promise.all([
    get(DeploymentKind, names.primaryWorkload),
    ...[names.apexService, names.primaryService, names.canaryService].flatMap((name) => [
      get(ServiceKind, name),
      ...chooseRouter(canary).kinds.map((kind) => get(kind, name)),
    ]),
    ...(autoscaler
      ? ["", "-primary"].map((end) => get(HorizontalPodAutoscalerKind, `${autoscaler.name}${end}`))
      : []),
    ...configs.map((config) => {
      const [kind = "", name = ""] = config.split("/");
      return get(kind === "secret" ? SecretKind : ConfigMapKind, name);
    }),
  ]);
  return [target, ...found].filter((object) => object !== undefined);
}

async function print(
  canaries: readonly ReadCanary[],
  objects: readonly KubeObject[],
  { output, meshProvider }: PlanOptions,
): Promise<void> {
  const { planCanary } = await import("../../controller/plan.ts");
  const { chooseRouter } = await import("../../controller/routers/choose.ts");
  const { defaultSettings } = await import("../../controller/settings.ts");
  const { snapshotOf } = await import("../../kube/snapshot.ts");
  const { printData } = await import("../output/format.ts");
  const { planText } = await import("../canary/plan-text.ts");
  const snapshot = snapshotOf(objects);
  const settings = { ...defaultSettings, meshProvider };
  const plans = canaries.map((canary) => ({
    canary,
    plan: planCanary(canary, snapshot, chooseRouter(canary), settings),
  }));
  if (output === "table")
    process.stdout.write(`${plans.map(({ canary, plan }) => planText(canary, plan)).join("\n\n")}\n`);
  else {
    const data = plans.map(({ canary: { namespace, name }, plan }) => ({
      canary: name,
      namespace,
      ...plan,
      objects: plan.objects.map(({ action, object }) => ({ action, object: withoutOwner(object) })),
    }));
    await printData(data.length === 1 ? data[0] : data, output);
  }
}

/** A Canary that is not stored yet has no uid to be owned by. */
function withoutOwner(object: KubeObject): KubeObject {
  const { ownerReferences = [], ...metadata } = object.metadata;
  const known = ownerReferences.filter(({ uid }) => uid !== "");
  return { ...object, metadata: { ...metadata, ...(known.length > 0 && { ownerReferences: known }) } };
}
