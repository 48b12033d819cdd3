import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { DeploymentKind, PodKind } from "../../api/core.ts";
import type { Client } from "../../kube/contract.ts";
import * as manifests from "./manifests.ts";
import { type Figures, figuresOf, RecordTail, readRecord } from "./record.ts";
import { apply, crashedPod, firstLineOf, readCanary, readEvents, until } from "./release.ts";
import type { View } from "./view.ts";
import type { World } from "./world.ts";

/** How the third version misbehaves: the share of its requests that it answers 500, or none at all. */
export type Fault = number | "none";

/** How the demo is played. */
export interface Plot {
  readonly fault: Fault;
  /** Whether the primary answers what the canary fails. */
  readonly shield: boolean;
}

export interface Outcome extends Figures {
  readonly promotedSeconds: number | undefined;
  /** Epoch milliseconds when the switch was set; 0 without a fault. */
  readonly faultAt: number;
  readonly denied: number;
  readonly allowed: number;
  /** Phase in which the third version ended. */
  readonly lastPhase: string;
  readonly reason: string | undefined;
  /** Users of version 3's failures whom the primary answered, by the proxies' counts; behind a shield alone. */
  readonly rescued: number | undefined;
  readonly record: string;
}

const requestsPerSecond = 250;
/** So many requests make the figures worth something. */
const leastRequests = 10_200;
const faultAtWeight = 20;
const issuer = "https://issuer.fairlead.example";

/** Makes the identity provider of the demo: its public key, and a token of it. */
async function makeIssuer() {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const key = { ...(await exportJWK(publicKey)), kid: "demo", alg: "ES256", use: "sig" };
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: "ES256", kid: "demo" })
    .setIssuer(issuer)
    .setSubject("web")
    .setExpirationTime("1h")
    .sign(privateKey);
  return { key, token };
}

/** Deploys version 1, its Canary and its policies, and waits until the Canary guards it. */
async function deploy(
  client: Client,
  shield: boolean,
  view: View,
  signal: AbortSignal,
): Promise<{ token: string }> {
  const { key, token } = await makeIssuer();
  await apply(
    client,
    manifests.namespaceManifest(),
    ...["shop", "load", "web", "guest"].map(manifests.serviceAccount),
  );
  await apply(client, manifests.shop("1"), ...manifests.policies(issuer, key), manifests.canary(shield));
  view.step(
    "version 1 of `shop` deployed behind real Envoy sidecars, with a Canary and an AuthorizationPolicy",
  );
  const came = await until(
    "the Canary to be initialized",
    60,
    async () => ((await readCanary(client))?.status?.phase === "Initialized" ? "ready" : crashedPod(client)),
    signal,
  );
  if (came !== "ready") throw new Error(came);
  return { token };
}

/** Lets two callers ask for `/orders`; answers what each got. */
async function callers(
  client: Client,
  token: string,
  view: View,
  signal: AbortSignal,
): Promise<{ denied: number; allowed: number }> {
  await apply(client, manifests.caller("guest", token), manifests.caller("web", token));
  const statusOf = async (account: string): Promise<number> => {
    const pod = `call-${account}`;
    await until(
      `the caller ${account} to end`,
      60,
      async () => {
        const phase = (await client.get(PodKind, manifests.namespace, pod))?.status?.phase;
        return phase === "Succeeded" || phase === "Failed" ? true : undefined;
      },
      signal,
    );
    return Number.parseInt(await firstLineOf(client, pod, "call"), 10);
  };
  const [denied, allowed] = await Promise.all([statusOf("guest"), statusOf("web")]);
  view.step(`GET /orders as \`guest\`: ${denied}, refused by policy; as \`web\` with its token: ${allowed}`);
  await Promise.all(
    ["guest", "web"].map((account) => client.delete(PodKind, manifests.namespace, `call-${account}`)),
  );
  return { denied, allowed };
}

/** Shows the rollout until `ask` answers. */
async function watch<T>(
  world: World,
  tail: RecordTail,
  view: View,
  what: string,
  seconds: number,
  ask: (phase: string, weight: number) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  return until(
    what,
    seconds,
    async () => {
      const canary = await readCanary(world.client);
      if (canary === undefined) return undefined;
      view.rollout({ canary, recent: tail.read(), events: await readEvents(world.client) });
      return ask(canary.status?.phase ?? "", canary.status?.canaryWeight ?? 0);
    },
    signal,
  );
}

/**
 * The demo: version 1 serves, version 2 is promoted, version 3 breaks and is taken back.
 *
 * The fault switch is a file that only version 3 and this script know of.
 */
export async function play(
  world: World,
  { fault, shield }: Plot,
  view: View,
  signal: AbortSignal,
): Promise<Outcome> {
  const { client, folder } = world;
  const record = join(folder, "requests.ndjson");
  const faultFile = join(folder, "fault");
  const failuresFile = `${faultFile}.failures`;
  for (const file of [faultFile, failuresFile]) rmSync(file, { force: true });
  const { token } = await deploy(client, shield, view, signal);
  const { denied, allowed } = await callers(client, token, view, signal);

  await apply(client, manifests.load(requestsPerSecond, record));
  const tail = new RecordTail(record);
  await until(
    "the load client's first requests",
    60,
    async () => (tail.read().length > 0 && tail.counts.requests > 250 ? true : undefined),
    signal,
  );
  view.step(`${requestsPerSecond} requests a second through a client's sidecar; record: ${record}`);

  const began = Date.now();
  await apply(client, manifests.shop("2"));
  view.step("version 2 released");
  // The phase still says what the run before ended with until the new revision is seen.
  await watch(
    world,
    tail,
    view,
    "version 2 to be seen",
    30,
    (phase) => (phase === "Progressing" ? true : undefined),
    signal,
  );
  const second = await watch(
    world,
    tail,
    view,
    "version 2 to end",
    90,
    (phase) => (phase === "Succeeded" || phase === "Failed" ? phase : undefined),
    signal,
  );
  const promotedSeconds = second === "Succeeded" ? (Date.now() - began) / 1000 : undefined;
  view.step(
    second === "Succeeded"
      ? `version 2 promoted in ${promotedSeconds?.toFixed(1)} s`
      : "version 2 was not promoted",
  );

  await apply(client, manifests.shop("3", faultFile));
  view.step("version 3 released");
  await watch(
    world,
    tail,
    view,
    "version 3 to be seen",
    30,
    (phase) => (phase === "Progressing" ? true : undefined),
    signal,
  );
  let faultAt = 0;
  if (fault !== "none") {
    await watch(
      world,
      tail,
      view,
      `version 3 to reach weight ${faultAtWeight}`,
      60,
      (_, weight) => (weight >= faultAtWeight ? true : undefined),
      signal,
    );
    // Between two ticks of the advance clock.
    await new Promise((resolve) => setTimeout(resolve, 500));
    writeFileSync(faultFile, String(fault));
    faultAt = Date.now();
    view.step(
      `version 3 now answers 500 to ${fault === 1 ? "everything" : `${fault * 100} % of its requests`}`,
    );
  }
  const lastPhase = await watch(
    world,
    tail,
    view,
    "version 3 to end",
    120,
    (phase) => (phase === "Succeeded" || phase === "Failed" ? phase : undefined),
    signal,
  );
  const after = tail.counts.requests + requestsPerSecond * 5;
  await watch(
    world,
    tail,
    view,
    "enough requests",
    60,
    () => (tail.counts.requests >= Math.max(leastRequests, after) ? true : undefined),
    signal,
  );
  const ended = await readCanary(client);
  await client.delete(DeploymentKind, manifests.namespace, "load");
  await until(
    "the load client to end",
    30,
    async () => {
      const { items } = await client.list(PodKind, {
        namespace: manifests.namespace,
        labelSelector: "app=load",
      });
      return items.length === 0 ? true : undefined;
    },
    signal,
  );
  return {
    ...figuresOf(readRecord(record), "3", faultAt || undefined, shield ? readTimes(failuresFile) : undefined),
    promotedSeconds,
    faultAt,
    denied,
    allowed,
    lastPhase,
    reason: reasonOf(ended),
    rescued: shield ? (ended?.status?.shield?.rescued ?? 0) : undefined,
    record,
  };
}

/** A time a line; none where nothing was written. */
function readTimes(file: string): number[] {
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").map(Number) : [];
}

/** What the Canary says of its own failure. */
function reasonOf(canary: Awaited<ReturnType<typeof readCanary>>): string | undefined {
  const status = canary?.status;
  return status?.failure?.message ?? status?.conditions?.find(({ type }) => type === "Promoted")?.message;
}
