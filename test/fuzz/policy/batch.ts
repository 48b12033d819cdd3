/** Asks one Envoy all pairs of a batch: a listener for each set of policies and form of rules. */
import { FilterSchema } from "../../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { HttpFilterSchema } from "../../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { compileCase, meshOf } from "../../../policy/cases/compile.ts";
import type { Case } from "../../../policy/cases/read.ts";
import type { KeyRing } from "../../../policy/cases/token.ts";
import { isTls, namesOf, wireOf } from "../../../policy/cases/wire.ts";
import { readAuthorizers } from "../../../policy/compile/authorizer.ts";
import { authorizerCluster } from "../../../policy/envoy/ext-authz.ts";
import { type Form, httpFilters, networkFilters } from "../../../policy/envoy/filters.ts";
import { type Authorizers, startAuthorizers } from "../../../policy/harness/authorizer.ts";
import {
  cluster,
  fileLog,
  httpManager,
  listener,
  metadataFilter,
  type ServerTls,
  tcpProxy,
} from "../../../policy/harness/bootstrap.ts";
import type { Certificates } from "../../../policy/harness/certificates.ts";
import { type Dial, open, requestBytes } from "../../../policy/harness/client.ts";
import { startEnvoy } from "../../../policy/harness/envoy.ts";
import { managerSettings } from "../../../policy/harness/manager.ts";
import { ownPorts } from "../../../policy/harness/port.ts";
import { readable } from "../../../policy/harness/readable.ts";
import { startUpstreams } from "../../../policy/harness/upstream.ts";
import { metadataValues } from "./alphabet.ts";
import { Connection, type Head } from "./connection.ts";
import type { Generated } from "./generate.ts";

/** What somebody made of a pair, in words to compare. */
export type Said = string;

export interface BatchRun {
  readonly keys: KeyRing;
  /** Epoch seconds. */
  readonly now: number;
  readonly binary: string;
  readonly certificates: Certificates;
}

const forms: readonly Form[] = ["list", "tree"];

/** By set and request: what Envoy said with each form. */
export async function askBatch(
  sets: readonly Generated[],
  run: BatchRun,
): Promise<readonly (readonly Readonly<Record<Form, Said>>[])[]> {
  const [upstreams, authorizers] = await Promise.all([startUpstreams(), startAuthorizers()]);
  try {
    const ports = ownPorts(sets.length * forms.length);
    const names = { uris: ["spiffe://cluster.local/ns/foo/sa/httpbin"], dns: ["httpbin"], subject: "" };
    const tls: ServerTls = { ...run.certificates.issue(names), root: run.certificates.root };
    const portOf = (set: number, form: Form) => ports[set * forms.length + forms.indexOf(form)] ?? 0;
    const own = sets.map(({ base }, index) => withOwnClusters(base, index));
    const envoy = await startEnvoy(
      (log) => ({
        listeners: sets.flatMap((set, index) =>
          forms.map((form) => {
            const base = own[index] ?? set.base;
            const one = { ...base, ...(set.requests[0] && { request: set.requests[0] }) };
            return bothTls(listenerOf(one, index, form, portOf(index, form), tls, run.keys, log));
          }),
        ),
        clusters: [
          cluster("echo", upstreams.tcp),
          cluster("BlackHoleCluster", undefined),
          ...own.flatMap((base) => clustersOf(base, authorizers)),
        ],
      }),
      { binary: run.binary },
    );
    try {
      const answers = await inTurns(sets, 24, async (set, index) => {
        const both = await Promise.all(
          forms.map((form) => askSet(set, portOf(index, form), `${index}-${form}`, run)),
        );
        return set.requests.map((_, at) => ({ list: both[0]?.[at] ?? "", tree: both[1]?.[at] ?? "" }));
      });
      const lines = answers.flat().filter(({ list }) => list.startsWith("tcp ")).length * forms.length;
      return readTcp(answers, await readLog(() => envoy.readAccessLog(), lines));
    } finally {
      await envoy.stop();
    }
  } finally {
    await Promise.all([upstreams.close(), authorizers.close()]);
  }
}

/** The log once it has so many lines, or as it is after a while. */
async function readLog(read: () => Promise<string>, lines: number): Promise<string> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const text = await read();
    if (text.split("\n").length > lines || Date.now() > deadline) return text;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Runs the work of all, some at a time; answers in order. */
async function inTurns<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const answers: R[] = [];
  const queue = [...items.entries()];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift())
        answers[next[0]] = await work(next[1], next[0]);
    }),
  );
  return answers;
}

function withOwnClusters(base: Case, index: number): Case {
  if (!base.mesh?.extensionProviders) return base;
  const extensionProviders = JSON.parse(
    JSON.stringify(base.mesh.extensionProviders),
    (key, value: unknown) => (key === "service" ? `authz.set-${index}` : value),
  ) as unknown[];
  return { ...base, mesh: { ...base.mesh, extensionProviders } };
}

function clustersOf({ mesh }: Case, authorizers: Authorizers): object[] {
  return [...readAuthorizers(mesh?.extensionProviders ?? []).authorizers.values()].map((authorizer) => {
    const isGrpc = authorizer.protocol === "grpc";
    const reachable = !mesh?.unreachableProviders?.includes(authorizer.name);
    const port = isGrpc ? authorizers.grpc : authorizers.http;
    return cluster(authorizerCluster(authorizer), reachable ? port : undefined, isGrpc);
  });
}

function listenerOf(
  one: Case,
  index: number,
  form: Form,
  port: number,
  tls: ServerTls,
  keys: KeyRing,
  log: string,
): object {
  const { policy } = compileCase(one, keys);
  const name = `${index}-${form}`;
  if (one.request?.protocol === "tcp") {
    const fields = {
      set: name,
      peer: "%DOWNSTREAM_REMOTE_ADDRESS%",
      details: "%CONNECTION_TERMINATION_DETAILS%",
      rbac: "%DYNAMIC_METADATA(envoy.filters.network.rbac)%",
      hint: "%DYNAMIC_METADATA(envoy.common:access_log_hint)%",
    };
    const filters = networkFilters(policy).map((filter) => readable(FilterSchema, filter));
    return listener({ name, port, tls, filters: [...filters, tcpProxy("echo", [fileLog(log, fields)])] });
  }
  const strict = meshOf(one).pathNormalization === "STRICT";
  const gateway = one.request?.gateway && { trustedProxies: one.request.gateway.numTrustedProxies ?? 0 };
  const filters = httpFilters(policy, { form, evenIfFew: true, strict }).map((filter) =>
    readable(HttpFilterSchema, filter),
  );
  const told = {
    "x-fl-details": "%RESPONSE_CODE_DETAILS%",
    "x-fl-rbac": "%DYNAMIC_METADATA(envoy.filters.http.rbac)%",
    "x-fl-hint": "%DYNAMIC_METADATA(envoy.common:access_log_hint)%",
  };
  const always = {
    statusCodeFilter: { comparison: { op: "GE", value: { defaultValue: 0, runtimeKey: "none" } } },
  };
  const manager = httpManager(
    {
      httpFilters: [metadataFilter(metadataValues), ...filters],
      manager: {
        ...managerSettings(meshOf(one).pathNormalization, gateway),
        localReplyConfig: {
          mappers: [
            {
              filter: always,
              headersToAdd: Object.entries(told).map(([key, value]) => ({ header: { key, value } })),
            },
          ],
        },
      },
      route: { match: { prefix: "/" }, directResponse: { status: 200, body: { inlineString: "ok" } } },
    },
    [],
  );
  return listener({ name, port, tls, filters: [manager] });
}

/** The chain with TLS, and the same without, by what the client speaks. */
function bothTls(made: object): object {
  const { filterChains, ...rest } = made as {
    readonly filterChains: readonly { readonly filters: object }[];
  };
  const [secure] = filterChains;
  return {
    ...rest,
    filterChains: [
      { ...secure, name: "tls", filterChainMatch: { transportProtocol: "tls" } },
      { filters: secure?.filters, name: "plain", filterChainMatch: { transportProtocol: "raw_buffer" } },
    ],
  };
}

async function askSet(set: Generated, port: number, name: string, run: BatchRun): Promise<Said[]> {
  const answers: Said[] = [];
  let clientPort = 1000;
  let connection: Connection | undefined;
  let key = "";
  for (const request of set.requests) {
    const { wire } = wireOf({ ...set.base, request }, run.keys, run.now);
    const names = namesOf(request);
    const dial: Dial = {
      port,
      from: wire.sourceIp,
      to: wire.destination,
      ...(isTls(request) && {
        tls: { servername: request.sni ?? "", ...(names && { certificate: run.certificates.issue(names) }) },
      }),
    };
    if (wire.protocol === "tcp") {
      // A system hands out a port twice before long; the log must tell the connections of a set apart.
      clientPort += 1;
      answers.push(await askTcp(dial, clientPort, name));
      continue;
    }
    const nextKey = JSON.stringify([wire.sourceIp, wire.destination, request.sni, names]);
    if (nextKey !== key) {
      connection?.close();
      connection = new Connection(dial);
      key = nextKey;
    }
    const head = await connection?.ask(requestBytes(wire.method, wire.target, wire.headers));
    answers.push(head === undefined ? "" : wordHead(head));
  }
  connection?.close();
  return answers;
}

/** Whether a TCP connection is let through; the rest stands in the access log, found by the client's port. */
async function askTcp(dial: Dial, fromPort: number, name: string): Promise<Said> {
  const socket = await open({ ...dial, fromPort });
  return new Promise((resolve) => {
    const key = `${dial.from}:${fromPort}`;
    const end = (echoed: boolean) => {
      socket.destroy();
      resolve(`tcp ${name} ${key} ${echoed}`);
    };
    socket.on("data", () => end(true));
    socket.on("close", () => end(false));
    socket.on("error", () => end(false));
    socket.write("ping\n");
  });
}

interface TcpLine {
  readonly set: string;
  readonly peer: string;
  readonly details: string | null;
  readonly rbac: Readonly<Record<string, string>> | null;
  readonly hint: boolean | null;
}

function readTcp(
  answers: readonly (readonly Readonly<Record<Form, Said>>[])[],
  log: string,
): readonly (readonly Readonly<Record<Form, Said>>[])[] {
  const lines = log
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as TcpLine);
  const byPeer = new Map(lines.map((line) => [`${line.set} ${line.peer}`, line]));
  const said = (text: Said): Said => {
    const [kind, set = "", peer = "", echoed] = text.split(" ");
    if (kind !== "tcp") return text;
    const line = byPeer.get(`${set} ${peer}`);
    const status = echoed === "true" ? 200 : 0;
    return word(status, line?.details ?? "", line?.rbac ?? {}, line?.hint === true);
  };
  return answers.map((set) => set.map(({ list, tree }) => ({ list: said(list), tree: said(tree) })));
}

function wordHead({ status, headers }: Head): Said {
  const rbac = headers.get("x-fl-rbac") ?? "-";
  return word(
    status,
    headers.get("x-fl-details") ?? "",
    rbac === "-" || rbac === "" ? {} : (JSON.parse(rbac) as Record<string, string>),
    headers.get("x-fl-hint") === "true",
  );
}

function word(
  status: number,
  details: string,
  rbac: Readonly<Record<string, string>>,
  audited: boolean,
): Said {
  const denial = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details)?.[1];
  const matched =
    denial === undefined
      ? status === 200
        ? (rbac.enforced_effective_policy_id ?? null)
        : null
      : denial === "none"
        ? null
        : denial;
  return wordAnswer({
    status,
    matched,
    audited,
    shadow: Object.fromEntries(Object.entries(rbac).filter(([key]) => key.startsWith("istio_dry_run_"))),
  });
}

/** An answer in words: status, rule, mark, and what dry runs noted. */
export function wordAnswer({
  status,
  matched,
  audited,
  shadow,
}: {
  readonly status: number;
  readonly matched: string | null;
  readonly audited: boolean;
  readonly shadow: Readonly<Record<string, string>>;
}): Said {
  // A filter that refuses leaves no metadata; in the tree form dry runs have a filter of their own.
  const noted = Object.entries(status === 200 ? shadow : {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key.replace("istio_dry_run_", "")}=${value}`)
    .join(" ");
  return `${status} ${matched ?? "none"}${audited ? " audited" : ""}${noted ? ` ${noted}` : ""}`;
}
