/** `examples/traffic`, task by task: its own programs behind a real sidecar, its manifests as they stand. */
import { type ChildProcess, spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Deployment, DeploymentKind } from "../../api/core.ts";
import { readManifests } from "../../api/manifest.ts";
import type { UnreadObject } from "../../api/resource.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { many, startTraffic, type Traffic } from "./support/traffic.ts";

const network = `127.${200 + (process.pid % 50)}`;
const folder = join(import.meta.dirname, "../../examples/traffic");
const port = { name: "http", port: 80, targetPort: 9080 };

function manifests(pattern: string): UnreadObject[] {
  return globSync(join(folder, pattern))
    .toSorted()
    .flatMap((file) => readManifests(readFileSync(file, "utf8"), file).objects)
    .map(({ object }) => object);
}

/** What the page answers: whom it asked, and what they answered in turn (or the status of a failure). */
interface Page {
  readonly details: object | number;
  readonly reviews: number | { readonly version: string; readonly ratings?: object | number };
}

describe.skipIf(envoyMissing !== undefined)("the tasks of examples/traffic", () => {
  let world: Traffic;
  const programs: ChildProcess[] = [];
  const addresses = new Map<string, string>();
  const page = async (user = ""): Promise<Page> =>
    JSON.parse((await world.ask("page", { headers: { "end-user": user } })).body) as Page;
  const versions = async (count: number): Promise<(string | undefined)[]> => {
    const answers = await many(count, () => world.ask("page"), 8);
    return answers.map(({ body }) => /"reviews":\{"version":"(v\d)"/.exec(body)?.[1]);
  };
  const task = (name: string) => world.apply(...manifests(`tasks/${name}.yaml`));

  /** Runs a Deployment's container; what it asks goes through the sidecar. */
  async function run({ metadata, spec }: Deployment): Promise<void> {
    const { labels = {} } = spec?.template.metadata ?? {};
    const { app = "", version = "" } = labels;
    const [container] = spec?.template.spec?.containers ?? [];
    const ip = await world.pod(app, metadata.name, { labels: { version }, serves: false });
    addresses.set(metadata.name, ip);
    const env = Object.fromEntries((container?.env ?? []).map(({ name, value = "" }) => [name, value]));
    const proxied = { NODE_USE_ENV_PROXY: "1", HTTP_PROXY: `http://${world.caller}:${world.proxyPort}` };
    const [, ...words] = container?.command ?? [];
    programs.push(
      spawn(process.execPath, words, { env: { ...env, ...proxied, HOST: ip }, stdio: "inherit" }),
    );
    await until(`${metadata.name} is ready`, () =>
      fetch(`http://${ip}:9080/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  }

  beforeAll(async () => {
    world = await startTraffic(network, {}, "NONE", "books");
    const objects = manifests("*.yaml");
    const isDeployment = (object: UnreadObject): object is UnreadObject & Deployment =>
      object.kind === DeploymentKind.kind;
    await Promise.all(objects.filter(isDeployment).map(run));
    for (const app of ["page", "details", "reviews", "ratings"]) await world.service(app, port);
    await world.apply(...objects.filter((object) => !isDeployment(object)));
  });
  afterAll(async () => {
    for (const program of programs) program.kill("SIGKILL");
    await world.stop();
  });

  test("without a route all versions are met", async () => {
    expect(new Set(await versions(40))).toEqual(new Set(["v1", "v2", "v3"]));
  });

  test("routing: to version 1, then by user", async () => {
    await task("routing-to-v1");
    expect(new Set(await versions(20))).toEqual(new Set(["v1"]));
    await task("routing-by-user");
    expect((await page("jason")).reviews).toMatchObject({ version: "v2", ratings: { version: "v1" } });
    expect(new Set(await versions(20))).toEqual(new Set(["v1"]));
  });

  test("weights: half to version 3", async () => {
    await task("weights");
    const met = await versions(200);
    expect(new Set(met)).toEqual(new Set(["v1", "v3"]));
    expect(met.filter((each) => each === "v3").length).toBeGreaterThan(65);
    expect(met.filter((each) => each === "v1").length).toBeGreaterThan(65);
  });

  test("mirroring: version 2 is asked as often, and version 1 answers", async () => {
    const asked = async () =>
      Number(await (await fetch(`http://${addresses.get("reviews-v2")}:9080/asked`)).text());
    await task("mirroring");
    const before = await asked();
    expect(new Set(await versions(20))).toEqual(new Set(["v1"]));
    await until("version 2 was asked as often", async () => (await asked()) === before + 20);
  });

  test("faults: a delay and an abort for one user, and a timeout that does not wait", async () => {
    const timed = async (user: string) => {
      const began = performance.now();
      return { ...(await page(user)), milliseconds: performance.now() - began };
    };
    await task("routing-by-user");
    await task("fault-delay");
    const delayed = await timed("jason");
    expect(delayed.milliseconds).toBeGreaterThanOrEqual(2000);
    expect(delayed.reviews).toMatchObject({ version: "v2", ratings: { version: "v1" } });
    expect((await timed("another")).milliseconds).toBeLessThan(2000);
    await task("timeouts");
    const cut = await timed("jason");
    expect(cut.reviews).toBe(504);
    expect(cut.milliseconds).toBeLessThan(2000);
    expect((await page("another")).reviews).toMatchObject({ version: "v2" });
    await task("fault-abort");
    expect((await page("jason")).reviews).toMatchObject({ ratings: 500 });
    expect((await page("another")).reviews).toMatchObject({ ratings: { version: "v1" } });
  });

  test("gateway: the page from outside, and nothing else", async () => {
    await task("gateway");
    const ip = await world.gateway({ istio: "ingressgateway" });
    const get = (path: string, host: string) =>
      new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
        request({ host: ip, port: 8080, path, headers: { host }, agent: false }, (response) => {
          let body = "";
          response.on("data", (data: Buffer) => {
            body += data.toString();
          });
          response.on("end", () => resolve({ status: response.statusCode, body }));
        })
          .on("error", reject)
          .end();
      });
    const { status, body } = await get("/", "books.example");
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ version: "v1", details: { version: "v1" } });
    expect((await get("/secret", "books.example")).status).toBe(404);
    expect((await get("/", "other.example")).status).toBe(404);
  });

  test("circuit breaking: what is above the limits is refused at once", async () => {
    await task("circuit-breaking");
    const codes = new Set((await many(60, () => world.ask("details"), 60)).map(({ status }) => status));
    expect(codes).toEqual(new Set([200, 503]));
  });
});
