import { resolve } from "node:path";
import type { Command } from "commander";
import { PodKind } from "../../api/core.ts";
import { CanaryKind } from "../../api/kinds.ts";
import { createClient } from "../../kube/client.ts";
import { loadConnection } from "../../kube/kubeconfig.ts";
import { textOrJson } from "../output/format.ts";
import { defaultDataDir, readUpState } from "../up/state.ts";

interface StatusOptions {
  readonly data: string;
  readonly output: "text" | "json";
}

/** Adds `fairlead status`: exit code 1 where nothing runs. */
export function addStatus(program: Command): void {
  program
    .command("status")
    .description("show what runs on this machine")
    .option("--data <folder>", "where the state is kept", defaultDataDir)
    .addOption(textOrJson("how to print"))
    .action(async ({ data, output }: StatusOptions) => {
      const state = readUpState(resolve(data));
      if (state === undefined) {
        if (output === "json") process.stdout.write(`${JSON.stringify({ running: false })}\n`);
        else process.stdout.write(`nothing runs from ${resolve(data)}; start it with \`fairlead up\`\n`);
        process.exitCode = 1;
        return;
      }
      const client = createClient(await loadConnection({ kubeconfig: state.kubeconfig }));
      const [pods, canaries] = await Promise.all([client.list(PodKind), client.list(CanaryKind)]);
      await client.close();
      const ready = pods.items.filter((pod) =>
        pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
      );
      if (output === "json") {
        process.stdout.write(
          `${JSON.stringify({ running: true, ...state, pods: pods.items.length, readyPods: ready.length, canaries: canaries.items.length })}\n`,
        );
        return;
      }
      process.stdout.write(
        `process ${state.pid} since ${state.startedAt}, Envoy ${state.envoyVersion}, network ${state.network}\n  ${state.url}\n  ${ready.length} of ${pods.items.length} pods ready\n`,
      );
      for (const { metadata, status } of canaries.items) {
        process.stdout.write(
          `  canary ${metadata.namespace}/${metadata.name}: ${status?.phase || "new"}, weight ${status?.canaryWeight ?? 0}\n`,
        );
      }
    });
}
