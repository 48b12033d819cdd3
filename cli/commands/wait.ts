import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { DaemonSetKind, DeploymentKind, ServiceKind, StatefulSetKind } from "../../api/core.ts";
import type { Canary } from "../../api/kinds.ts";
import type { ObjectMeta } from "../../api/resource.ts";
import { isTransient } from "../../kube/error.ts";
import { parseDuration } from "../../lib/units.ts";
import { findCanary, requireCanary } from "../canary/find.ts";
import { type Outcome, outcomeOf } from "../canary/outcome.ts";
import { phaseOf } from "../canary/row.ts";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";

interface WaitOptions extends ClusterOptions {
  readonly for: Goal;
  readonly timeout: number;
}

/** What is waited for. */
type Goal =
  | { readonly kind: "outcome" }
  | { readonly kind: "phase"; readonly phase: string }
  | { readonly kind: "condition"; readonly type: string; readonly status: string };

/** Between looks, milliseconds. */
const pace = 500;

const exitCodes = { promoted: 0, rolledBack: 2, timedOut: 3, neverStarted: 4 };

/** Adds `fairlead wait`. */
export function addWait(program: Command): void {
  const command = program
    .command("wait")
    .description("wait until a canary is promoted or rolled back")
    .argument("<kind>", "`canary`")
    .argument("<name>")
    .addOption(
      new Option("--for <goal>", "`promoted`, `phase=PHASE` or `condition=TYPE[=STATUS]`")
        .argParser(readGoal)
        .default({ kind: "outcome" }, "promoted"),
    )
    .addOption(
      new Option("--timeout <duration>", "give up after this long, e.g. `90s`, `1h`")
        .argParser(readTimeout)
        .default(600_000, "10m"),
    );
  addClusterOptions(command)
    .addHelpText(
      "after",
      `
Exit codes:
  0  promoted: the workload's last version serves all traffic (or the goal was reached)
  2  rolled back
  3  timed out while it was under way
  4  timed out and no release of the last version had begun

Example:
  kubectl set image deployment/shop app=shop:2 && fairlead wait canary shop --timeout 15m`,
    )
    .action((kind: string, name: string, options: WaitOptions) => {
      requireCanary(kind);
      return withCluster(options, async (cluster) => {
        process.exitCode = await waitFor(cluster, name, options);
      });
    });
}

function readGoal(text: string): Goal {
  const [kind, value, status = "True"] = text.split("=");
  if (text === "promoted") return { kind: "outcome" };
  if (kind === "phase" && value) return { kind, phase: value };
  if (kind === "condition" && value) return { kind, type: value, status };
  throw new InvalidArgumentError("say `promoted`, `phase=PHASE` or `condition=TYPE[=STATUS]`.");
}

function readTimeout(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined || milliseconds < 0)
    throw new InvalidArgumentError("say a duration such as `90s` or `1h`.");
  return milliseconds;
}

async function waitFor(cluster: Cluster, name: string, { for: goal, timeout }: WaitOptions): Promise<number> {
  const deadline = performance.now() + timeout;
  let last: Outcome = { kind: "not-started", why: "" };
  let ran = false;
  let told = "";
  // A Canary that does not exist is told at once; later, a server that is away for a while is waited for.
  let canary: Canary | undefined = await findCanary(cluster, name);
  for (;;) {
    if (canary !== undefined) {
      if (goal.kind !== "outcome" && isReached(canary, goal))
        return tell(`${name}: reached`, exitCodes.promoted);
      last = outcomeOf(canary, await readTarget(cluster, canary), ran);
      ran ||= last.kind === "running";
      if (goal.kind === "outcome") {
        if (last.kind === "promoted") return tell(`${name}: promoted`, exitCodes.promoted);
        if (last.kind === "rolled-back")
          return tell(`${name}: rolled back: ${last.reason}`, exitCodes.rolledBack);
      }
      const words = last.kind === "running" ? `${name}: ${last.phase}, ${last.weight} %` : told;
      if (words !== told) process.stderr.write(`${words}\n`);
      told = words;
    }
    const left = deadline - performance.now();
    if (left <= 0) break;
    await sleep(Math.min(pace, left));
    canary = await unlessAway(findCanary(cluster, name));
  }
  if (ran)
    return tell(
      `${name}: timed out in phase ${canary ? phaseOf(canary.status) : "unknown"}`,
      exitCodes.timedOut,
    );
  if (last.kind === "not-started")
    return tell(`${name}: no release has begun: ${last.why}`, exitCodes.neverStarted);
  return tell(`${name}: timed out`, exitCodes.timedOut);
}

function isReached({ status }: Canary, goal: Exclude<Goal, { kind: "outcome" }>): boolean {
  if (goal.kind === "phase") return phaseOf(status).toLowerCase() === goal.phase.toLowerCase();
  return (status?.conditions ?? []).some(
    ({ type, status: value }) =>
      type.toLowerCase() === goal.type.toLowerCase() && value.toLowerCase() === goal.status.toLowerCase(),
  );
}

const targetKinds = {
  Deployment: DeploymentKind,
  DaemonSet: DaemonSetKind,
  Service: ServiceKind,
  StatefulSet: StatefulSetKind,
};

/** The workload's identity; undefined where it may not be read, which then says nothing. */
async function readTarget({ client }: Cluster, { metadata, spec }: Canary): Promise<ObjectMeta | undefined> {
  const kind = targetKinds[spec.targetRef.kind];
  const target = await client
    .get<(typeof kind)["type"] & object>(kind, metadata.namespace, spec.targetRef.name)
    .catch(() => undefined);
  return target?.metadata;
}

async function unlessAway<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isTransient(error)) return undefined;
    throw error;
  }
}

function tell(words: string, exitCode: number): number {
  process.stdout.write(`${words}\n`);
  return exitCode;
}
