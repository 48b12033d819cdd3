import { type Command, Option } from "commander";
import { arrive } from "../../mesh/explain/arrive.ts";
import { explain } from "../../mesh/explain/explain.ts";
import { type Explanation, nothing } from "../../mesh/explain/explanation.ts";
import { type CallerTls, type RouteRequest, requestOf } from "../../mesh/explain/request.ts";
import { resourcesOf } from "../../mesh/explain/resources.ts";
import { UsageError } from "../failure.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { addSceneOptions, type SceneOptions, withScene } from "./options.ts";
import { proxyOfWorkload } from "./proxy.ts";

interface RouteOptions extends SceneOptions {
  readonly from: string;
  readonly to: string;
  readonly method: string;
  readonly header: readonly string[];
  readonly tls?: CallerTls;
  readonly sni?: string;
  readonly alpn?: string;
  readonly http2?: boolean;
  readonly output: Format;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** Adds `fairlead explain route`. */
export function addExplainRoute(explainCommand: Command): void {
  const route = explainCommand
    .command("route")
    .description("say where a request goes and why: listener, route, clusters, endpoints")
    .requiredOption("--from <workload>", "caller: [NAMESPACE/][KIND/]NAME, a gateway too")
    .requiredOption("--to <url>", "http://HOST[:PORT]/PATH, https://… or tcp://HOST:PORT")
    .option("-X, --method <method>", "", "GET")
    .option("-H, --header <line>", "`name: value`, may be given several times", collect, [])
    .addOption(
      new Option("--tls <kind>", "how the caller connects; https means tls").choices([
        "plaintext",
        "tls",
        "mtls",
      ]),
    )
    .option("--sni <name>", "server name of its TLS connection; default: the URL's host")
    .option("--alpn <protocols>", "protocols that it offers, e.g. h2,http/1.1")
    .option("--http2", "HTTP/2 in the clear");
  addOutputOption(addSceneOptions(route))
    .addHelpText(
      "after",
      "\nExamples:\n  fairlead explain route --from demo/web --to http://shop/cart -H 'x-user: ann'\n  fairlead explain route -f manifests/ --from demo/web --to http://shop/ -o json",
    )
    .action((options: RouteOptions) =>
      withScene(options, async (scene, namespace) => {
        const proxy = proxyOfWorkload(scene.snapshot, options.from, namespace, options.interception);
        const request = readRequest(options);
        const resources = resourcesOf(scene.viewOf(proxy));
        const arrival = arrive(scene.model, proxy, resources, request);
        const explained =
          "reason" in arrival ? { ...nothing, reason: arrival.reason } : explain(resources, arrival, request);
        if (options.output === "table") process.stdout.write(`${wordExplanation(explained)}\n`);
        else await printData(explained, options.output);
      }),
    );
}

function readRequest({ to, method, header, tls, sni, alpn, http2 = false }: RouteOptions): RouteRequest {
  try {
    return requestOf(to, {
      ...{ method, http2, headers: header.map(readHeader) },
      ...(tls !== undefined && { tls }),
      ...(sni !== undefined && { sni }),
      ...(alpn !== undefined && { alpn: alpn.split(",").filter((protocol) => protocol !== "") }),
    });
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--to ${error.message}`);
    throw error;
  }
}

function readHeader(line: string): readonly [string, string] {
  const at = line.indexOf(":", 1);
  if (at < 1) throw new UsageError(`--header \`${line}\`: give \`name: value\``);
  return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}

/** For people: a line a fact, what is not there left out. */
function wordExplanation(explained: Explanation): string {
  const { weights, endpoints, retries, directResponse, redirect, rewrite, shield, mirrors, fault, timeout } =
    explained;
  const percent = (share: number) => `${Number((share * 100).toFixed(4))} %`;
  const rows: readonly (readonly [string, string | null])[] = [
    ["listener", explained.listener],
    ["filter chain", explained.filterChain],
    ["route table", explained.routeConfig],
    ["virtual host", explained.virtualHost],
    ["route", explained.route],
    ...weights.map(
      ({ cluster, share }) =>
        ["cluster", `${cluster}${weights.length > 1 ? ` ${percent(share)}` : ""}`] as const,
    ),
    ...endpoints.map(({ address, port }) => ["endpoint", `${address}:${port}`] as const),
    ["answer", directResponse && String(directResponse.status)],
    ["redirect", redirect && `${redirect.status} to ${redirect.location}`],
    ["rewritten to", rewrite && `${rewrite.authority} ${rewrite.path}`],
    ["timeout", timeout === null ? null : `${timeout} ms`],
    [
      "shield",
      shield &&
        `what ${shield.cluster} fails, or does not answer in ${shield.hangAfter} ms, is answered by ${shield.rescuedBy}`,
    ],
    ["retries", retries && `${retries.attempts} on ${retries.on}`],
    ...mirrors.map(({ cluster, share }) => ["copied to", `${cluster} ${percent(share)}`] as const),
    ["delay", fault?.delay ? `${fault.delay.milliseconds} ms for ${percent(fault.delay.share)}` : null],
    ["abort", fault?.abort ? `${fault.abort.status} for ${percent(fault.abort.share)}` : null],
  ];
  const lines = rows
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.padEnd(14)}${value}`);
  return [...lines, "", explained.reason].join("\n");
}
