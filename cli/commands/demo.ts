import type { Command } from "commander";
import { openCluster } from "../demo/cluster.ts";
import { type Fault, play } from "../demo/story.ts";
import { brokenPromises, summaryOf, tell } from "../demo/summary.ts";
import { jsonView, liveView, plainView } from "../demo/view.ts";
import { startWorld } from "../demo/world.ts";
import { UsageError } from "../failure.ts";
import { type NetworkChoice, networkOption } from "../up/network.ts";

interface DemoOptions {
  readonly yes?: boolean;
  readonly json?: boolean;
  readonly fault: Fault;
  readonly shield?: boolean;
  readonly cluster: string;
  readonly network: NetworkChoice;
}

/** Adds `fairlead demo`. */
export function addDemo(program: Command): void {
  program
    .command("demo")
    .description("release a good and a bad version of a small service through real Envoys, and watch")
    .option("-y, --yes", "fetch what is missing (Envoy) without asking")
    .option("--json", "one event a line on stdout, the summary last")
    .option(
      "--fault <share>",
      "share of requests that version 3 fails: `100%`, `30%` …, or `none`",
      readFault,
      1,
    )
    .option("--shield", "the primary answers what a new version fails: no user notices version 3")
    .option(
      "--cluster <which>",
      "`local` (an embedded API), `real` (a kube-apiserver; from a checkout, as root), or a kubeconfig",
      "local",
    )
    .option(...networkOption)
    .addHelpText(
      "after",
      "\nThe demo runs a control plane of its own, takes about a minute, and leaves only its record behind.",
    )
    .action(async (options: DemoOptions) => {
      process.exitCode = await demo(options);
    });
}

/** @throws UsageError where `text` is neither a percentage nor `none` */
export function readFault(text: string): Fault {
  if (text === "none") return "none";
  const share = /^(\d+(\.\d+)?)%$/.exec(text);
  const percent = Number(share?.[1]);
  if (!(percent > 0 && percent <= 100))
    throw new UsageError(`--fault \`${text}\`: say a percentage such as \`30%\`, or \`none\``);
  return percent / 100;
}

/** Runs the demo; 0 when promotion, rollback, refusal and permission all happened, 128 + n when signal n ended it. */
async function demo({ yes, json, fault, shield, cluster: choice, network }: DemoOptions): Promise<number> {
  const plot = { fault, shield: shield === true };
  const view = json ? jsonView() : process.stdout.isTTY ? liveView() : plainView();
  const abort = new AbortController();
  // Not once: who presses Ctrl-C again while pods are being stopped must not leave half of them behind.
  const stopping = (code: number) => () => {
    if (!abort.signal.aborted) abort.abort(code);
  };
  process.on("SIGINT", stopping(130)).on("SIGTERM", stopping(143)).on("SIGHUP", stopping(129));
  // Nobody reads on: the terminal was closed, or `| head` has seen enough.
  process.stdout.on("error", stopping(141));
  const began = Date.now();
  const cluster = await openCluster(choice, (line) => view.step(line));
  view.step(`starting ${cluster.words}, controller, mesh and certificate authority`);
  const world = await startWorld({ yes: yes === true, network, ...cluster }).catch(async (error: unknown) => {
    view.close();
    await cluster.stop();
    // Ctrl-C in a terminal also ends what is asked of Envoy meanwhile.
    if (abort.signal.aborted) return undefined;
    throw error;
  });
  if (world === undefined) return Number(abort.signal.reason);
  try {
    view.step(
      `serving on ${world.ready.url} (Envoy ${world.ready.envoyVersion}, network ${world.ready.network}) after ${((Date.now() - began) / 1000).toFixed(1)} s`,
    );
    const outcome = await play(world, plot, view, abort.signal);
    const broken = brokenPromises(outcome, plot);
    view.end(
      [...tell(outcome, plot), ...broken.map((promise) => `✗ ${promise}`)],
      summaryOf(outcome, world.ready.envoyVersion),
    );
    return broken.length === 0 ? 0 : 1;
  } catch (error) {
    if (abort.signal.aborted) return Number(abort.signal.reason);
    throw error;
  } finally {
    view.close();
    await world.stop();
    await cluster.stop();
  }
}
