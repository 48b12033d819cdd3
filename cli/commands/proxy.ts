import { Argument, type Command } from "commander";
import { compareDump, compareRuntime } from "../../mesh/debug/compare.ts";
import type { ProxyDump, SyncStatus } from "../../mesh/debug/contract.ts";
import { addClusterOptions, type ClusterOptions, withCluster } from "../cluster.ts";
import { UsageError } from "../failure.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { readEnvoy } from "../proxy/envoy-pages.ts";
import { type MeshOptions, openMeshPages } from "../proxy/mesh-pages.ts";
import { configTable, diffText, statusTable, typeWords } from "../proxy/words.ts";
import { debugAccount, homeNamespace } from "../up/install.ts";

interface ProxyOptions extends ClusterOptions, MeshOptions {
  readonly output: Format;
}

type TypeWord = keyof typeof typeWords;

/** Adds `fairlead proxy`. */
export function addProxy(program: Command): void {
  const proxy = program
    .command("proxy")
    .description("see what each proxy holds, should hold, and really runs");
  const status = proxy
    .command("status")
    .description("list the connected proxies: since when, what of each type they hold, what they lack")
    .argument("[proxy]", "[NAMESPACE/]POD; default all, or those of the namespace given by -n");
  addOptions(status)
    .addHelpText("after", "\nExamples:\n  fairlead proxy status\n  fairlead proxy status demo/web-1 -o json")
    .action(printStatus);
  const config = proxy
    .command("config")
    .description("print what the control plane wants a proxy to hold; keys and passwords are left out")
    .argument("<proxy>", "[NAMESPACE/]POD")
    .addArgument(new Argument("[type]", "only this type").choices(Object.keys(typeWords)));
  addOptions(config)
    .addHelpText("after", "\nExample:\n  fairlead proxy config demo/web-1 routes -o yaml")
    .action(printConfig);
  const diff = proxy
    .command("diff")
    .description(
      "hold what the control plane wants against what the pod's Envoy runs; exits 1 where they differ",
    )
    .argument("<proxy>", "[NAMESPACE/]POD")
    .option(
      "--envoy <url-or-file>",
      "Envoy's admin (http://HOST:PORT) or a saved /config_dump?include_eds; default: the pod's port 15000, where pods are processes of this machine",
    );
  addOptions(diff)
    .addHelpText(
      "after",
      "\nExamples:\n  fairlead proxy diff demo/web-1\n  kubectl -n demo port-forward web-1 15000 & fairlead proxy diff demo/web-1 --envoy http://127.0.0.1:15000",
    )
    .action(printDiff);
}

function addOptions(command: Command): Command {
  command
    .option(
      "--mesh <url>",
      "the mesh's monitoring port; default: port 15014 of a control plane on this machine",
    )
    .option(
      "--account <account>",
      "service account (NAMESPACE/NAME) whose token is shown to the mesh",
      `${homeNamespace}/${debugAccount}`,
    );
  return addOutputOption(addClusterOptions(command));
}

function printStatus(name: string | undefined, options: ProxyOptions): Promise<void> {
  return withCluster(options, async (cluster) => {
    const read = await openMeshPages(cluster, options);
    const query = name === undefined ? "" : `?${idOf(readName(name, cluster.namespace))}`;
    const all = await read<readonly SyncStatus[]>(`/debug/syncz${query}`);
    const { namespace } = options;
    const proxies = all
      .filter(
        ({ proxy }) => name !== undefined || namespace === undefined || proxy.startsWith(`${namespace}/`),
      )
      .toSorted((a, b) => (a.proxy < b.proxy ? -1 : 1));
    if (options.output !== "table") return printData(proxies, options.output);
    const where = namespace === undefined ? "" : ` in namespace \`${namespace}\``;
    process.stdout.write(
      proxies.length === 0 ? `no proxy is connected${where}\n` : `${statusTable(proxies, Date.now())}\n`,
    );
  });
}

function printConfig(name: string, type: TypeWord | undefined, options: ProxyOptions): Promise<void> {
  return withCluster(options, async (cluster) => {
    const read = await openMeshPages(cluster, options);
    const only = type === undefined ? "" : `&type=${typeWords[type]}`;
    const dump = await read<ProxyDump>(
      `/debug/config_dump?${idOf(readName(name, cluster.namespace))}${only}`,
    );
    if (options.output === "table") process.stdout.write(`${configTable(dump)}\n`);
    else await printData(dump, options.output);
  });
}

function printDiff(name: string, options: ProxyOptions & { readonly envoy?: string }): Promise<void> {
  return withCluster(options, async (cluster) => {
    const read = await openMeshPages(cluster, options);
    const { namespace, pod } = readName(name, cluster.namespace);
    const dump = await read<ProxyDump>(`/debug/config_dump?${idOf({ namespace, pod })}`);
    const { running, runtime } = await readEnvoy(cluster.client, namespace, pod, options.envoy);
    const types = {
      ...compareDump(dump, running),
      ...(runtime !== undefined &&
        dump.resources.runtime?.length && { runtime: compareRuntime(dump, runtime) }),
    };
    const same = Object.values(types).every(
      ({ missing, extra, differing }) => missing.length + extra.length + differing.length === 0,
    );
    if (options.output === "table") {
      process.stdout.write(`${diffText(types)}\n`);
      if (runtime === undefined)
        process.stderr.write("runtime: not compared, as a saved /config_dump does not hold it\n");
    } else await printData({ proxy: dump.proxy, same, types }, options.output);
    if (!same) process.exitCode = 1;
  });
}

interface ProxyName {
  readonly namespace: string;
  readonly pod: string;
}

/** @throws UsageError unless it is `[NAMESPACE/]POD` */
function readName(text: string, namespace: string): ProxyName {
  const parts = text.split("/");
  const [pod = "", before = namespace, more] = parts.toReversed();
  if (pod === "" || before === "" || more !== undefined)
    throw new UsageError(`\`${text}\`: give a proxy as \`[NAMESPACE/]POD\``);
  return { namespace: before, pod };
}

const idOf = ({ namespace, pod }: ProxyName): string =>
  `proxyID=${encodeURIComponent(namespace)}/${encodeURIComponent(pod)}`;
