/** The control plane that is measured: `fairlead up` as a user starts it, with the objects of `objects.ts`. */
import { readFileSync } from "node:fs";
import { VirtualServiceKind } from "../../api/kinds.ts";
import type { UnreadObject } from "../../api/resource.ts";
import { startWorld, type World } from "../../cli/demo/world.ts";
import type { Client } from "../../kube/contract.ts";
import { discoverKind } from "../../kube/discovery.ts";
import type { LoadTarget } from "./adsload.ts";
import { account, liveRun, mayChangeRoutes, namespace, route, services, virtualService } from "./objects.ts";

export interface Measured {
  readonly world: World;
  readonly target: LoadTarget;
  /** Of the control plane's process, MB. */
  memory(): { readonly rssMb: number; readonly peakMb: number };
}

/** Starts it with `count` Services; `arms` are the ports of the two versions on 127.0.0.1. */
export async function startMeasured(
  count: number,
  arms: { readonly primary: number; readonly canary: number },
): Promise<Measured> {
  const world = await startWorld({ yes: true });
  try {
    const target = await prepare(world.client, world.ready.url, count, arms);
    return { world, target, memory: () => memoryOf(world.ready.pid) };
  } catch (error) {
    await world.stop();
    throw error;
  }
}

/** Applies the objects to a control plane that runs. */
export async function prepare(
  client: Client,
  url: string,
  count: number,
  arms: { readonly primary: number; readonly canary: number },
): Promise<LoadTarget> {
  await create(client, [...mayChangeRoutes(), ...services(count, arms), virtualService()]);
  const ads = `${new URL(url).hostname}:15010`;
  return { ads, api: url, token: await issueToken(client), namespace, route };
}

/** Sets the route's weights as the controller does in a live run. */
export async function changeWeights(client: Client, canaryWeight: number): Promise<void> {
  await client.patch(VirtualServiceKind, namespace, route, {
    kind: "merge",
    body: virtualService(canaryWeight, liveRun),
  });
}

async function create(client: Client, objects: readonly UnreadObject[]): Promise<void> {
  const kinds = new Map<string, Awaited<ReturnType<typeof discoverKind>>>();
  for (const object of objects) {
    const name = `${object.apiVersion}/${object.kind}`;
    const kind = kinds.get(name) ?? (await discoverKind(client, object.apiVersion, object.kind));
    if (kind === undefined) throw new Error(`the API server does not know ${name}`);
    kinds.set(name, kind);
    await client.create(kind, object);
  }
}

async function issueToken(client: Client): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
  const body = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { audiences: [], expirationSeconds: 7200 },
  };
  const { status } = await client.request<{ readonly status: { readonly token: string } }>(
    "POST",
    path,
    body,
  );
  return status.token;
}

function memoryOf(pid: number): { readonly rssMb: number; readonly peakMb: number } {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const megabytes = (field: string) =>
    Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) / 1024);
  return { rssMb: megabytes("VmRSS"), peakMb: megabytes("VmHWM") };
}
