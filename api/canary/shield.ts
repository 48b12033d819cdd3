import { formatDuration, parseDuration } from "../../lib/units.ts";
import type { Shield } from "../annotations.ts";
import type { CanaryAnalysis, CanaryService, CanarySpec, ShieldFields } from "../generated/canaries.ts";
import { below } from "../schema/pointer.ts";
import { quoteAll } from "../schema/suggest.ts";
import { show } from "../schema/validate.ts";
import { type Report, readDuration } from "./fields.ts";
import type { Provider } from "./types.ts";

/** RFC 9110, 9.2.1: what may be sent twice without being asked. TRACE is left out: nobody serves it to users. */
const safeMethods = ["GET", "HEAD", "OPTIONS"] as const;
const hangAfterByDefault = 300;
/** Whose routes the embedded mesh carries out: no one else sends a failed attempt to the primary. */
const shielded: readonly Provider[] = ["istio", "gatewayapi:v1", "gatewayapi:v1beta1"];
/** Composite clusters, which try first the canary and then the primary, came with it. */
const leastEnvoy = [1, 37] as const;

/** What decides whether a Canary may have a shield. */
export interface ShieldScene {
  readonly spec: CanarySpec;
  readonly analysis: CanaryAnalysis;
  readonly provider: Provider;
  /** Version of the proxies, e.g. `1.40.0`, where it is known. */
  readonly envoyVersion?: string | undefined;
}

/**
 * `spec.analysis.shield` with its defaults: GET, HEAD and OPTIONS, 300 ms. Where it cannot keep its promise it is an
 * error that names the reason, so that nobody relies on a shield that is not there.
 */
export function readShield(fields: ShieldFields, field: string, scene: ShieldScene, report: Report): Shield {
  checkScene(field, scene, report);
  const shield: Shield = {
    methods: readMethods(fields.methods, below(field, "methods"), report),
    hangAfter: readDuration(
      fields.hangAfter,
      below(field, "hangAfter"),
      { least: 1, fallback: hangAfterByDefault },
      report,
    ),
  };
  const { appProtocol = "", portName = "" } = scene.spec.service ?? {};
  const grpc = [appProtocol, portName].some((name) => /^grpc(-|$)/i.test(name));
  if (grpc && !shield.methods.includes("POST"))
    report(
      field,
      "covers no call of gRPC, which are all of method `POST`: name it where they are idempotent",
      "warning",
    );
  checkHangAfter(shield.hangAfter, below(field, "hangAfter"), scene.spec.service, report);
  return shield;
}

function checkScene(
  field: string,
  { spec, analysis, provider, envoyVersion }: ShieldScene,
  report: Report,
): void {
  if (!shielded.includes(provider))
    report(
      field,
      `needs the embedded mesh, which provider \`${provider}\` goes without: allowed are ${quoteAll(shielded)}`,
    );
  else if (analysis.iterations !== undefined)
    report(
      field,
      `cannot stand with \`iterations\` (${analysis.match?.length ? "A/B testing" : "blue/green"}): give weights, so that the primary takes users' traffic beside the canary`,
    );
  if (spec.service?.appProtocol?.toLowerCase() === "tcp")
    report(field, "needs HTTP: the service's appProtocol is `tcp`");
  if (envoyVersion !== undefined && isOlder(envoyVersion))
    report(field, `needs Envoy ${leastEnvoy.join(".")} or newer, the proxies are ${envoyVersion}`);
  if (analysis.onInconclusive === "promote")
    report(
      field,
      "cannot stand with `onInconclusive: promote`: what nobody could judge would meet all users without it",
    );
  // Its cookies stand on the answers of one destination each.
  if (analysis.sessionAffinity)
    report(
      field,
      "cannot stand with `sessionAffinity`: the primary's answer in the canary's place would bind its user to the canary",
    );
  if (spec.skipAnalysis === true) report(field, "is ignored: `skipAnalysis` promotes at once", "warning");
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < leastEnvoy[0] || (major === leastEnvoy[0] && minor < leastEnvoy[1]);
}

function readMethods(
  methods: readonly string[] | undefined,
  field: string,
  report: Report,
): readonly string[] {
  if (methods === undefined) return safeMethods;
  if (methods.length === 0) report(field, "is empty, must hold at least one method: leave `shield` out");
  for (const [index, method] of methods.entries()) {
    const at = below(field, index);
    if (!/^[A-Z]+(-[A-Z]+)*$/.test(method))
      report(at, `is ${show(method)}, must be an HTTP method in upper case such as \`GET\``);
    else if (method === "CONNECT") report(at, "is `CONNECT`, which opens a tunnel: it cannot be sent twice");
    else if (!(safeMethods as readonly string[]).includes(method))
      report(
        at,
        `is \`${method}\`: such a request may reach both versions, so it must be idempotent`,
        "warning",
      );
  }
  return methods.length === 0 ? safeMethods : [...new Set(methods)];
}

/** The primary gets as long for its answer as the canary had: both attempts have to end before the user's patience does. */
function checkHangAfter(
  hangAfter: number,
  field: string,
  service: CanaryService | undefined,
  report: Report,
): void {
  for (const name of ["timeout", "backendTimeout"] as const) {
    const timeout = parseDuration(service?.[name] ?? "") ?? 0;
    if (timeout > 0 && hangAfter >= timeout / 2)
      report(
        field,
        `is \`${formatDuration(hangAfter)}\`, must be under half of \`spec.service.${name}\` (\`${service?.[name]}\`): the primary needs as long again`,
      );
  }
}
