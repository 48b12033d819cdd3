import { type Command, Option } from "commander";
import { type AuthzAnswer, answerQuestion, wordAnswer, wordProblem } from "../authz/answer.ts";
import { compileFor, mutualTlsOf, type PolicyInForce, policiesInForce } from "../authz/in-force.ts";
import { type QuestionOptions, readLabels, readPort } from "../authz/question.ts";
import { readCluster, readScopeFiles, type Scope } from "../authz/scope.ts";
import { findTarget, readTargetName, type Target, wordLabels } from "../authz/workload.ts";
import { addClusterOptions, type ClusterOptions, withCluster } from "../cluster.ts";
import { addOutputOption, type Format, printData } from "../output/format.ts";
import { formatTable } from "../output/table.ts";

interface ScopeOptions extends ClusterOptions {
  readonly file?: readonly string[];
  readonly labels?: string;
  readonly output: Format;
}

interface TestOptions extends ScopeOptions, QuestionOptions {
  readonly to: string;
  readonly authorizer: "allow" | "deny";
  readonly jwksAllow?: readonly string[];
}

/** Adds `fairlead authz`. */
export function addAuthz(program: Command): void {
  const authz = program.command("authz").description("see and ask the policies in force at a workload");
  const check = authz
    .command("check")
    .description("list the policies in force at a workload, in the order of deciding")
    .argument("<workload>", "[NAMESPACE/][KIND/]NAME: a Deployment, pod, Service, …");
  addScopeOptions(check)
    .addHelpText("after", "\nExample:\n  fairlead authz check deploy/shop -n demo")
    .action(async (workload: string, options: ScopeOptions) => {
      const [scope, target] = await readScope(workload, options);
      await printCheck(scope, target, options.output);
    });

  const test = authz
    .command("test")
    .description("decide one request by the policies of its target, and say which rule decided")
    .requiredOption("--to <workload>", "[NAMESPACE/][KIND/]NAME: a Deployment, pod, Service, …")
    .option(
      "--from <account>",
      "caller: NAMESPACE/SERVICEACCOUNT or a SPIFFE ID; without it one outside the mesh",
    )
    .option("--method <method>", "", "GET")
    .option("--path <path>", "with its query", "/")
    .option("--host <host>", "Host header; default: the target's name and namespace")
    .option("--port <number>", "port of the pod; default: the first that it declares")
    .option("--header <line>", "`name: value`, may be given several times", collect, [])
    .option("--jwt <token>", "bearer token: @FILE, - for stdin, or the token itself")
    .option("--claims <json>", "claims of a token that is taken as verified")
    .option("--source-ip <address>", "the caller's address", "0.0.0.0")
    .option("--sni <name>", "server name of its TLS connection")
    .option("--tcp", "a connection without HTTP")
    .addOption(
      new Option("--authorizer <answer>", "what external authorizers are taken to answer")
        .choices(["allow", "deny"])
        .default("allow"),
    )
    .option(
      "--jwks-allow <cidr>",
      "a block that keys may be fetched from although it is closed by default",
      collectSome,
    );
  addScopeOptions(test)
    .addHelpText(
      "after",
      "\nExit code 1 where the request is denied.\n\nExample:\n  fairlead authz test --from demo/load --to deploy/shop --method DELETE --path /cart -n demo",
    )
    .action(async (options: TestOptions) => {
      const [scope, target] = await readScope(options.to, options);
      const { jwksAllow = [] } = options;
      const answer = await answerQuestion(scope, target, { ...options, jwksAllow });
      await printAnswer(answer, options.output);
      if (answer.decision === "deny") process.exitCode = 1;
    });
}

function addScopeOptions(command: Command): Command {
  command
    .option(
      "-f, --file <path>",
      "manifests or a folder instead of a cluster, may be given several times",
      collectSome,
    )
    .option("--labels <pairs>", "NAME=VALUE,…: the pods' labels, where the workload itself is not there");
  return addOutputOption(addClusterOptions(command));
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
const collectSome = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

async function readScope(workload: string, options: ScopeOptions): Promise<readonly [Scope, Target]> {
  const labels = readLabels(options.labels);
  const find = (scope: Scope, namespace: string): readonly [Scope, Target] => [
    scope,
    findTarget(scope.snapshot, readTargetName(workload, namespace), labels),
  ];
  if (options.file !== undefined) {
    const namespace = options.namespace ?? "default";
    return find(readScopeFiles(options.file, namespace), namespace);
  }
  return withCluster(options, async ({ client, namespace }) => {
    const asked = readTargetName(workload, namespace);
    return find(await readCluster(client, asked.namespace), namespace);
  });
}

async function printAnswer(answer: AuthzAnswer, output: Format): Promise<void> {
  if (output === "table") process.stdout.write(`${wordAnswer(answer)}\n`);
  else await printData(answer, output);
}

async function printCheck(scope: Scope, target: Target, output: Format): Promise<void> {
  const policies = policiesInForce(scope, target);
  const { problems: found } = compileFor(scope, target, "http");
  // Keys are the control plane's to fetch: the policy's own condition tells of them.
  const problems = [
    ...scope.problems,
    ...found.filter(({ message }) => !message.startsWith("its keys were not fetched")),
  ];
  const ports = target.ports.length > 0 ? target.ports : [readPort(undefined, target)];
  const mutualTls = ports.map((port) => ({ port, mode: mutualTlsOf(scope, target, port) }));
  if (output !== "table") {
    const { words, namespace, labels } = target;
    await printData({ workload: words, namespace, labels, mutualTls, policies, problems }, output);
    return;
  }
  const lines = [
    `${target.words} in ${target.namespace}${Object.keys(target.labels).length > 0 ? ` (${wordLabels(target.labels)})` : ""}`,
    `mutual TLS: ${mutualTls.map(({ port, mode }) => `${mode} on ${port}`).join(", ")}`,
    wordDefault(policies),
    ...(policies.length > 0
      ? ["", formatTable(["ACTION", "POLICY", "RULES", "MODE", "COVERS"], policies.map(row))]
      : []),
    ...(problems.length > 0 ? ["", ...problems.map(wordProblem)] : []),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** What becomes of a request that no rule knows. */
function wordDefault(policies: readonly PolicyInForce[]): string {
  const enforced = policies.filter(({ mode }) => mode === "enforced");
  if (enforced.some(({ action }) => action === "ALLOW")) return "what no ALLOW rule matches is denied";
  return enforced.some(({ action }) => action === "DENY")
    ? "no ALLOW policy: what no DENY rule matches is allowed"
    : "no ALLOW and no DENY policy: everything is allowed";
}

const covers = {
  mesh: "the whole mesh",
  namespace: "its namespace",
  labels: "its labels",
  target: "its target's labels",
  gateway: "its Gateway",
} as const;

function row({ action, kind, namespace, name, rules, mode, by }: PolicyInForce): string[] {
  const words = `${kind === "AuthorizationPolicy" ? "" : "requestauthentication "}${namespace}/${name}`;
  return [action, words, String(rules), mode, covers[by]];
}
