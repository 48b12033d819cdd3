import { readFileSync } from "node:fs";
import { gatewayOf } from "../../mesh/policy-workload.ts";
import type { WireRequest } from "../../policy/edge/receive.ts";
import { describeFileError, UsageError } from "../failure.ts";
import type { Target } from "./workload.ts";

/** A request as the options of `fairlead authz test` describe it. */
export interface QuestionOptions {
  readonly from?: string;
  readonly method: string;
  readonly path: string;
  readonly host?: string;
  readonly port?: string;
  readonly header: readonly string[];
  readonly jwt?: string;
  readonly claims?: string;
  readonly sourceIp: string;
  readonly sni?: string;
  readonly tcp?: boolean;
}

/** The caller's SPIFFE ID; undefined for one outside the mesh. @throws UsageError for anything else */
export function readCaller(
  from: string | undefined,
  namespace: string,
  trustDomain: string,
): string | undefined {
  if (from === undefined) return undefined;
  if (from.startsWith("spiffe://")) return from;
  const [first = "", second, ...more] = from.split("/");
  if (more.length > 0 || first === "" || second === "")
    throw new UsageError(`--from \`${from}\`: give NAMESPACE/SERVICEACCOUNT or a SPIFFE ID`);
  const [ns, account] = second === undefined ? [namespace, first] : [first, second];
  return `spiffe://${trustDomain}/ns/${ns}/sa/${account}`;
}

/** The bytes that arrive at the target's sidecar. `caller` is the SPIFFE ID of its certificate. */
export function wireOfQuestion(
  options: QuestionOptions,
  target: Target,
  caller: string | undefined,
): WireRequest {
  const token =
    options.jwt === undefined ? [] : [["authorization", `Bearer ${readToken(options.jwt)}`] as const];
  const host = options.host ?? `${target.name}.${target.namespace}`;
  return {
    protocol: options.tcp ? "tcp" : "http",
    method: options.method,
    target: latin1(options.path),
    headers: [["host", latin1(host)], ...options.header.map(readHeader), ...token],
    sourceIp: options.sourceIp,
    // A certificate of the mesh says who by its one URI; the subject that it has too names nobody.
    identities: caller === undefined ? undefined : [caller, ""],
    sni: options.sni ?? "",
    destination: { ip: target.ip ?? "0.0.0.0", port: readPort(options.port, target) },
    // A gateway believes no X-Forwarded-For unless it is told how many proxies stand before it.
    gateway: gatewayOf(target.labels).gateway && { trustedProxies: 0 },
  };
}

/** The port asked, else the first that the workload declares, else 80. */
export function readPort(text: string | undefined, { ports }: Target): number {
  if (text === undefined) return ports[0] ?? 80;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new UsageError(`--port \`${text}\` must be a number from 1 to 65535`);
  return port;
}

/** Claims of a token that is taken as verified. */
export function readClaims(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(text);
    if (typeof claims === "object" && claims !== null && !Array.isArray(claims))
      return Object.assign(Object.create(null) as Record<string, unknown>, claims);
  } catch {
    // Told below.
  }
  throw new UsageError('--claims must be a JSON object such as {"iss":"https://idp","sub":"ann"}');
}

/** `a=1,b=2` as labels. */
export function readLabels(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  const pairs = text.split(",").map((pair) => pair.split("="));
  if (pairs.some(({ length, 0: key }) => length !== 2 || key === ""))
    throw new UsageError(`--labels \`${text}\`: give NAME=VALUE, several with commas`);
  return Object.fromEntries(pairs.map(([key = "", value = ""]) => [key, value]));
}

function readHeader(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  if (colon < 1) throw new UsageError("--header must be `name: value`");
  return [line.slice(0, colon).trim(), latin1(line.slice(colon + 1).trim())];
}

/** `@FILE`, `-` or the token itself: what stands on a command line, others on this machine can read. */
function readToken(text: string): string {
  if (text !== "-" && !text.startsWith("@")) return text.trim();
  const file = text === "-" ? 0 : text.slice(1);
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new UsageError(`cannot read the token: ${describeFileError(error)}`);
  }
}

/** A byte a character, as on the wire. */
function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}
