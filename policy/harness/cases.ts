import { FilterSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { HttpFilterSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { CaseAnswer, NormalizeAnswer } from "../cases/answer.ts";
import { compileCase, meshOf } from "../cases/compile.ts";
import type { Case } from "../cases/read.ts";
import type { KeyRing } from "../cases/token.ts";
import { isTls, namesOf, wireOf } from "../cases/wire.ts";
import { readAuthorizers } from "../compile/authorizer.ts";
import { authorizerCluster } from "../envoy/ext-authz.ts";
import { type Form, httpFilters, networkFilters } from "../envoy/filters.ts";
import { type Authorizers, startAuthorizers } from "./authorizer.ts";
import {
  cluster,
  fileLog,
  httpManager,
  listener,
  metadataFilter,
  type ServerTls,
  tcpProxy,
} from "./bootstrap.ts";
import type { Certificates } from "./certificates.ts";
import { type Dial, isEchoed, type RawAnswer, requestBytes, sendRequest } from "./client.ts";
import { type Envoy, startEnvoy } from "./envoy.ts";
import { managerSettings } from "./manager.ts";
import { ownPorts } from "./port.ts";
import type { End } from "./proxy-protocol.ts";
import { readable } from "./readable.ts";
import { type Seen, startUpstreams } from "./upstream.ts";

export interface CaseRun {
  readonly keys: KeyRing;
  /** Epoch seconds. */
  readonly now: number;
  /** Path of Envoy. */
  readonly binary: string;
  readonly certificates: Certificates;
  readonly form?: Form;
}

/** What one Envoy with a listener a case made of them, or why one could not be asked; in their order. */
export async function askEnvoy(
  cases: readonly Case[],
  run: CaseRun,
): Promise<readonly (CaseAnswer | NormalizeAnswer | Error)[]> {
  const [upstreams, authorizers] = await Promise.all([startUpstreams(), startAuthorizers()]);
  try {
    const ports = ownPorts(cases.length);
    const serverNames = { uris: ["spiffe://cluster.local/ns/foo/sa/httpbin"], dns: ["httpbin"], subject: "" };
    const tls: ServerTls = { ...run.certificates.issue(serverNames), root: run.certificates.root };
    const plans = cases.map((one, index): Planned => {
      try {
        return plan(withOwnClusters(one, index), index, ports[index] ?? 0, run, tls, authorizers);
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error));
      }
    });
    const ready = plans.filter((each): each is Plan => !(each instanceof Error));
    const envoy = await startEnvoy(
      (log) => ({
        listeners: ready.map((each) => each.listener(log)),
        clusters: [
          cluster("upstream", upstreams.http),
          cluster("echo", upstreams.tcp),
          cluster("BlackHoleCluster", undefined),
          ...ready.flatMap((each) => each.clusters),
        ],
      }),
      { binary: run.binary },
    );
    try {
      return await askAll(cases, plans, ports, run, envoy);
    } finally {
      await envoy.stop();
    }
  } finally {
    await Promise.all([upstreams.close(), authorizers.close()]);
  }
}

interface Plan {
  readonly listener: (log: string) => object;
  readonly clusters: readonly object[];
}
type Planned = Plan | Error;

/** Providers of different cases may share a name and an address, but not what stands behind it. */
function withOwnClusters(one: Case, index: number): Case {
  const providers = one.mesh?.extensionProviders;
  if (providers === undefined) return one;
  const own = JSON.parse(JSON.stringify(providers), (key, value: unknown) =>
    key === "service" && typeof value === "string" && value !== "" ? `${value}.case-${index}` : value,
  ) as unknown[];
  return { ...one, mesh: { ...one.mesh, extensionProviders: own } };
}

function plan(
  one: Case,
  index: number,
  port: number,
  run: CaseRun,
  tls: ServerTls,
  authorizers: Authorizers,
): Plan {
  const { request = {} } = one;
  const { policy } = compileCase(one, run.keys);
  const mesh = meshOf(one);
  const form = run.form ?? "list";
  const name = `case-${index}`;
  const strict = mesh.pathNormalization === "STRICT";
  const left: Record<string, unknown> = { ...request.metadata };
  if (request.jwt) left["envoy.filters.http.jwt_authn"] = { payload: request.jwt };
  const network = (log: string): object[] => {
    if (request.protocol === "tcp")
      return [
        ...networkFilters(policy).map((filter) => readable(FilterSchema, filter)),
        tcpProxy("echo", [fileLog(log, { case: name, ...tcpFields })]),
      ];
    const filters = httpFilters(policy, { form, evenIfFew: true, strict }).map((filter) =>
      readable(HttpFilterSchema, filter),
    );
    const { gateway } = wireOf(one, run.keys, run.now).wire;
    return [
      httpManager(
        {
          httpFilters: [...(Object.keys(left).length > 0 ? [metadataFilter(left)] : []), ...filters],
          manager: managerSettings(mesh.pathNormalization, gateway),
          route: { match: { prefix: "/" }, route: { cluster: "upstream" } },
        },
        [fileLog(log, { case: name, ...httpFields })],
      ),
    ];
  };
  return {
    listener: (log) => listener({ name, port, tls: isTls(request) ? tls : undefined, filters: network(log) }),
    clusters: [...readAuthorizers(mesh.extensionProviders).authorizers.values()].map((authorizer) => {
      const reachable = !one.mesh?.unreachableProviders?.includes(authorizer.name);
      const isGrpc = authorizer.protocol === "grpc";
      const alive = isGrpc ? authorizers.grpc : authorizers.http;
      return cluster(authorizerCluster(authorizer), reachable ? alive : undefined, isGrpc);
    }),
  };
}

const httpFields = {
  details: "%RESPONSE_CODE_DETAILS%",
  rbac: "%DYNAMIC_METADATA(envoy.filters.http.rbac)%",
  payload: "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload)%",
  hint: "%DYNAMIC_METADATA(envoy.common:access_log_hint)%",
};
const tcpFields = {
  details: "%CONNECTION_TERMINATION_DETAILS%",
  rbac: "%DYNAMIC_METADATA(envoy.filters.network.rbac)%",
  payload: "-",
  hint: "%DYNAMIC_METADATA(envoy.common:access_log_hint)%",
};

/** A line of the access log. */
interface Logged {
  readonly case: string;
  readonly details: string | null;
  readonly rbac: Readonly<Record<string, string>> | null;
  readonly payload: Readonly<Record<string, unknown>> | null;
  readonly hint: boolean | null;
}

const atOnce = 16;

async function askAll(
  cases: readonly Case[],
  plans: readonly Planned[],
  ports: readonly number[],
  run: CaseRun,
  envoy: Envoy,
): Promise<(CaseAnswer | NormalizeAnswer | Error)[]> {
  const answers: (RawAnswer | boolean | NormalizeAnswer | Error)[] = [];
  const queue = [...cases.entries()];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [index, one] = next;
        const planned = plans[index];
        answers[index] =
          planned instanceof Error
            ? planned
            : await ask(one, ports[index] ?? 0, run).catch((error: unknown) =>
                error instanceof Error ? error : new Error(String(error)),
              );
      }
    }),
  );
  const expected = answers.filter((answer) => typeof answer === "boolean" || "status" in answer).length;
  const logged = await readLog(envoy, expected);
  return answers.map((answer, index) => {
    if (answer instanceof Error) return answer;
    if (typeof answer === "object" && "paths" in answer) return answer;
    return toAnswer(answer, logged.get(`case-${index}`));
  });
}

/** Lines by case, read until all are there or nothing more comes. */
async function readLog(envoy: Envoy, expected: number): Promise<ReadonlyMap<string, Logged>> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const lines = (await envoy.readAccessLog())
      .trim()
      .split("\n")
      .filter((line) => line !== "");
    const logged = new Map(
      lines.map((line) => JSON.parse(line) as Logged).map((entry) => [entry.case, entry] as const),
    );
    if (logged.size >= expected || Date.now() > deadline) return logged;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function ask(one: Case, port: number, run: CaseRun): Promise<RawAnswer | boolean | NormalizeAnswer> {
  const { wire } = wireOf(one, run.keys, run.now);
  const { request = {} } = one;
  const names = namesOf(request);
  const dial: Dial = {
    port,
    from: wire.sourceIp,
    to: sameFamily(wire.sourceIp, wire.destination),
    ...(isTls(request) && {
      tls: { servername: request.sni ?? "", ...(names && { certificate: run.certificates.issue(names) }) },
    }),
  };
  if (one.kind === "normalize") {
    const paths: (string | number)[] = [];
    for (const [sent] of one.pairs ?? []) {
      const { status, body } = await sendRequest(dial, requestBytes("GET", sent, [["host", "paths"]]));
      paths.push(status === 200 ? (JSON.parse(body) as Seen).path : status);
    }
    return { paths };
  }
  if (wire.protocol === "tcp") return isEchoed(dial);
  return sendRequest(dial, requestBytes(wire.method, wire.target, wire.headers));
}

/** A connection has ends of one family; where the case names only the client's, the workload has such an address. */
function sameFamily(from: string, to: End): End {
  const isSix = from.includes(":");
  if (isSix === to.ip.includes(":")) return to;
  return { ip: isSix ? "fd00::2" : "10.1.0.2", port: to.port };
}

function toAnswer(answer: RawAnswer | boolean, logged: Logged | undefined): CaseAnswer {
  const isTcp = typeof answer === "boolean";
  const status = isTcp ? (answer ? 200 : 0) : answer.status;
  const decision = status === 200 ? "allow" : "deny";
  const details = logged?.details ?? "";
  const rbac = logged?.rbac ?? {};
  const denial = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details)?.[1];
  const reported = denial === "none" ? null : denial;
  const allowed = decision === "allow" || status === 503 ? (rbac.enforced_effective_policy_id ?? null) : null;
  return {
    decision,
    status,
    matched: denial === undefined ? allowed : (reported ?? null),
    audited: logged?.hint === true,
    shadow: rbac,
    claims: typeof logged?.payload === "object" ? logged.payload : null,
    upstreamHeaders: isTcp || status !== 200 ? null : headersOf(answer.body),
    reason: isTcp || status === 200 ? details : answer.body || details,
  };
}

function headersOf(body: string): Record<string, readonly string[]> | null {
  try {
    const { method, path, headers } = JSON.parse(body) as Seen;
    const lines: Record<string, string[]> = { ":method": [method], ":path": [path] };
    for (let index = 0; index < headers.length; index += 2) {
      const name = (headers[index] ?? "").toLowerCase();
      lines[name] = [...(lines[name] ?? []), headers[index + 1] ?? ""];
    }
    return { ...lines, ":authority": lines.host ?? [] };
  } catch {
    return null;
  }
}
